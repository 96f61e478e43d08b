package services

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

const (
	postgresUser = "steady" // the superuser of a PostgreSQL that this package starts
	dataFolder   = "data"   // in the folder of the process
)

// StartPostgres starts a PostgreSQL, with a database and its superuser, and returns when it answers, or after a minute
// at most. The caller stops it. Run by root it runs as the user postgres, because PostgreSQL refuses to run as root.
// If its programs are neither on PATH nor where Debian puts them, the error matches [ErrNotInstalled].
func StartPostgres(ctx context.Context) (*Process, error) { return start(ctx, postgresKind) }

var postgresKind = kind{
	name:     "PostgreSQL",
	variable: "STEADY_TEST_POSTGRES_URL",
	example:  "postgres://user:password@127.0.0.1:5432/postgres?sslmode=disable",
	port:     "5432",
	quit:     syscall.SIGQUIT,
	prepare:  preparePostgres,
	ping:     pingPostgres,
	cleanUp:  removeSegment,
}

func preparePostgres(ctx context.Context, folder, addr string) (command, error) {
	programs, err := postgresPrograms("/usr/lib/postgresql")
	if err != nil {
		return command{}, err
	}
	as, err := unprivileged("postgres")
	if err != nil {
		return command{}, err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return command{}, fmt.Errorf("services: %w", err)
	}
	password := rand.Text()
	data := filepath.Join(folder, dataFolder)
	if err := initialize(ctx, filepath.Join(programs, "initdb"), data, password, as); err != nil {
		return command{}, err
	}
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(postgresUser, password),
		Host:     addr,
		Path:     "/postgres",
		RawQuery: "sslmode=disable",
	}
	return command{
		url:     u.String(),
		program: filepath.Join(programs, "postgres"),
		args: []string{
			"-D", data, "-p", port,
			"-c", "listen_addresses=" + host,
			"-c", "unix_socket_directories=",
			"-c", "shared_buffers=16MB",
			"-c", "dynamic_shared_memory_type=mmap", // in the folder, so that it goes with it
			"-c", "fsync=off", // what was written survives the process, if not the machine
		},
		as: as,
	}, nil
}

// postgresPrograms returns the folder that holds initdb and postgres, which must be of one version: that of PATH, or
// the newest of Debian's, which are not on PATH.
func postgresPrograms(debian string) (string, error) {
	var folders []string
	if program, err := exec.LookPath("postgres"); err == nil {
		if program, err = filepath.EvalSymlinks(program); err == nil {
			folders = append(folders, filepath.Dir(program))
		}
	}
	folders = append(folders, newestFirst(debian)...)
	for _, folder := range folders {
		_, initErr := exec.LookPath(filepath.Join(folder, "initdb"))
		_, serverErr := exec.LookPath(filepath.Join(folder, "postgres"))
		if initErr == nil && serverErr == nil {
			return folder, nil
		}
	}
	return "", fmt.Errorf("services: PostgreSQL is %w: install its server"+
		" (Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql)", ErrNotInstalled)
}

// newestFirst returns the program folders of the versions that Debian keeps beside one another.
func newestFirst(versions string) []string {
	folders, _ := filepath.Glob(filepath.Join(versions, "*", "bin")) // fails only for a malformed pattern
	version := func(folder string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(folder))) // not a number: older than any
		return n
	}
	slices.SortFunc(folders, func(a, b string) int { return cmp.Compare(version(b), version(a)) })
	return folders
}

// initialize makes the data folder inside a folder that it gives to the account.
func initialize(ctx context.Context, initdb, data, password string, as *account) error {
	folder := filepath.Dir(data)
	passwordFile := filepath.Join(folder, "password")
	if err := os.WriteFile(passwordFile, []byte(password), 0o600); err != nil {
		return fmt.Errorf("services: %w", err)
	}
	if err := as.own(folder, passwordFile); err != nil {
		return err
	}
	err := runToEnd(ctx, folder, command{program: initdb, as: as, args: []string{
		"-D", data, "-U", postgresUser, "--pwfile", passwordFile, "-A", "scram-sha-256",
		"-E", "UTF8", "--no-locale", "--no-sync",
	}})
	if err != nil {
		return fmt.Errorf("services: PostgreSQL could not make its data folder: %w", err)
	}
	return os.Remove(passwordFile)
}

func pingPostgres(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing was written that could be lost
	_, err = conn.Exec(ctx, "SELECT 1")
	return err
}

// removeSegment removes the shared memory segment by which a PostgreSQL finds out that another one uses its data. One
// that was killed leaves it behind, and a system has room for a few thousand. Without ipcrm it stays.
func removeSegment(folder string) {
	lock, err := os.ReadFile(filepath.Join(folder, dataFolder, "postmaster.pid"))
	if err != nil {
		return // it ended well
	}
	const segmentLine = 6 // "KEY ID"
	lines := strings.Split(string(lock), "\n")
	if len(lines) <= segmentLine {
		return // it did not come so far
	}
	if segment := strings.Fields(lines[segmentLine]); len(segment) == 2 {
		_ = exec.Command("ipcrm", "-m", segment[1]).Run()
	}
}
