// Package disk is what several packages need of files, on all systems.
package disk
