package main

import (
	"context"
	"errors"
	"regexp"
)

// backend is what keeps records, with what is measured of it. It is there for as long as its own groups are measured,
// and no others.
type backend struct {
	name string
	jobs []string // of its groups, whose names are that of the backend, a colon and that of the job
	open func(ctx context.Context) (groups []group, end func() error, err error)
}

const (
	claimJob    = "claim"
	completeJob = "complete"
	pairJob     = "claim and complete"
	replayJob   = "replay"
	collectJob  = "garbage collection"
)

func backends() []backend {
	return []backend{
		{"Redis", []string{claimJob, completeJob}, openRedis},
		{"PostgreSQL", []string{pairJob, replayJob}, openPostgres},
		{"MariaDB", []string{pairJob, replayJob}, openMySQL},
		{"SQLite", []string{pairJob, replayJob}, openSQLite},
		{"Memory", []string{pairJob, collectJob}, openMemory}, // last: its records slow down no other's collections
	}
}

func (b backend) groupName(job string) string { return b.name + ": " + job }

func (b backend) matches(wanted *regexp.Regexp) bool {
	for _, job := range b.jobs {
		if wanted.MatchString(b.groupName(job)) {
			return true
		}
	}
	return false
}

// measure opens the backend for the groups that are wanted.
func (b backend) measure(ctx context.Context, wanted *regexp.Regexp, rounds int) (tables []*table, err error) {
	groups, end, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	return measure(matching(groups, wanted), rounds)
}

func matching(groups []group, wanted *regexp.Regexp) []group {
	var chosen []group
	for _, g := range groups {
		if wanted.MatchString(g.name) {
			chosen = append(chosen, g)
		}
	}
	return chosen
}
