package soma

import (
	"context"
	"iter"

	"github.com/soma-sdk/soma/internal/collection"
)

// viewRecords reads all records of a view, with the number of the newest change.
type viewRecords func(context.Context) ([]record, int64, error)

// viewOf makes records of what snapshot reads at once.
func viewOf[T any](snapshot func(context.Context) ([]T, int64, error), toRecord func(T) (record, error)) viewRecords {
	return func(ctx context.Context) ([]record, int64, error) {
		all, seq, err := snapshot(ctx)
		if err != nil {
			return nil, 0, err
		}
		records := make([]record, len(all))
		for i, one := range all {
			if records[i], err = toRecord(one); err != nil {
				return nil, 0, err
			}
		}
		return records, seq, nil
	}
}

func (v viewRecords) list(ctx context.Context) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		records, _, err := v(ctx)
		if err != nil {
			yield(record{}, err)
			return
		}
		for _, rec := range records {
			if !yield(rec, nil) {
				return
			}
		}
	}
}

func (v viewRecords) storage(ctx context.Context) (value []byte, seq int64, err error) {
	records, seq, err := v(ctx)
	if err != nil {
		return nil, 0, err
	}
	value, err = collection.WriteStorage(records)
	return value, seq, err
}
