package service

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// journal is a file of accepted payments, one a line in JSON. A line is on the disk before the client is told of the
// payment. Of several processes each has a journal of its own.
type journal struct {
	file   *os.File
	failed error // nothing may follow a line that was perhaps written in part
}

// openJournal hands what the journal holds to enter. The end of it may be a part of a line, of a process that died while
// it wrote: nobody was told of that payment, and it is removed.
func openJournal(path string, enter func(Payment)) (*journal, error) {
	whole, err := readJournal(path, enter)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal of payments: %w", err)
	}
	if err := file.Truncate(whole); err != nil {
		return nil, errors.Join(fmt.Errorf("journal of payments: %w", err), file.Close())
	}
	return &journal{file: file}, nil
}

// readJournal hands the payments of a journal, which a process may be writing, to enter. It returns how many bytes they
// take.
func readJournal(path string, enter func(Payment)) (whole int64, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("journal of payments: %w", err)
	}
	content = content[:bytes.LastIndexByte(content, '\n')+1]
	for line := range bytes.Lines(content) {
		var p Payment
		if err := json.Unmarshal(line, &p); err != nil {
			return 0, fmt.Errorf("journal of payments %s: %w", path, err)
		}
		enter(p)
	}
	return int64(len(content)), nil
}

func (j *journal) append(p Payment) error {
	line, err := json.Marshal(p)
	if err != nil || j.failed != nil {
		return errors.Join(err, j.failed)
	}
	if _, j.failed = j.file.Write(append(line, '\n')); j.failed == nil {
		j.failed = j.file.Sync()
	}
	return j.failed
}

func (j *journal) close() error { return j.file.Close() }
