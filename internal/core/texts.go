package core

import "encoding/binary"

// AppendTexts appends texts to b, each after its size in bytes, a varint.
func AppendTexts(b []byte, texts []string) []byte {
	for _, text := range texts {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	return b
}

// ReadTexts reads what AppendTexts appended, to the end of b, and reports whether it could.
func ReadTexts(b []byte) (texts []string, ok bool) {
	for len(b) > 0 {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return nil, false
		}
		b = b[size:]
		texts, b = append(texts, string(b[:n])), b[n:]
	}
	return texts, true
}
