package services

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/go-sql-driver/mysql"
)

// Of a MariaDB that this package starts.
const (
	mysqlUser     = "steady" // may do everything
	mysqlDatabase = "steady"
)

const mysqlExample = "mysql://user:password@127.0.0.1:3306/database"

// StartMySQL starts a MariaDB, with a database and a user who may do everything, and returns when it answers, or after a
// minute at most. The caller stops it. Run by root it runs as the user mysql, because MariaDB refuses to run as root. If
// its programs are neither on PATH nor where Debian puts them, the error matches [ErrNotInstalled].
func StartMySQL(ctx context.Context) (*Process, error) { return start(ctx, mysqlKind) }

// MySQLDSN returns what the driver github.com/go-sql-driver/mysql calls a server whose URL is
// mysql://USER:PASSWORD@HOST:PORT/DATABASE. Parameters of the URL become those of the driver.
func MySQLDSN(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "mysql" || u.Host == "" {
		return "", fmt.Errorf("services: not a URL of MySQL, such as %s", mysqlExample)
	}
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr = "tcp", u.Host
	cfg.User = u.User.Username()
	cfg.Passwd, _ = u.User.Password()
	cfg.DBName = strings.TrimPrefix(u.Path, "/")
	dsn := cfg.FormatDSN()
	if u.RawQuery == "" {
		return dsn, nil
	}
	if strings.Contains(dsn, "?") {
		return dsn + "&" + u.RawQuery, nil
	}
	return dsn + "?" + u.RawQuery, nil
}

var mysqlKind = kind{
	name:     "MariaDB",
	variable: "STEADY_TEST_MYSQL_URL",
	example:  mysqlExample,
	port:     "3306",
	quit:     syscall.SIGTERM,
	prepare:  prepareMySQL,
	ping:     pingMySQL,
}

func prepareMySQL(ctx context.Context, folder, addr string) (command, error) {
	install, err := lookUp("mariadb-install-db", "/usr/bin")
	if err != nil {
		return command{}, err
	}
	server, err := lookUp("mariadbd", "/usr/sbin")
	if err != nil {
		return command{}, err
	}
	as, err := unprivileged("mysql")
	if err != nil {
		return command{}, err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return command{}, fmt.Errorf("services: %w", err)
	}
	password, accounts := rand.Text(), filepath.Join(folder, "accounts.sql")
	err = os.WriteFile(accounts, []byte("CREATE DATABASE IF NOT EXISTS "+mysqlDatabase+";\n"+
		"CREATE OR REPLACE USER "+mysqlUser+"@'%' IDENTIFIED BY '"+password+"';\n"+
		"GRANT ALL ON *.* TO "+mysqlUser+"@'%' WITH GRANT OPTION;\n"), 0o600)
	if err != nil {
		return command{}, fmt.Errorf("services: %w", err)
	}
	if err := as.own(folder, accounts); err != nil {
		return command{}, err
	}
	settings := []string{
		"--no-defaults", // what this machine's own server is told
		"--datadir=" + filepath.Join(folder, dataFolder),
		"--innodb-log-file-size=8M",
		"--innodb-undo-tablespaces=0",
	}
	err = runToEnd(ctx, folder, command{program: install, as: as, args: append(settings[:len(settings):len(settings)],
		"--auth-root-authentication-method=socket", "--skip-test-db", "--skip-name-resolve")})
	if err != nil {
		return command{}, fmt.Errorf("services: MariaDB could not make its data folder: %w", err)
	}
	u := url.URL{Scheme: "mysql", User: url.UserPassword(mysqlUser, password), Host: addr, Path: "/" + mysqlDatabase}
	return command{
		url:     u.String(),
		program: server,
		args: append(settings,
			"--bind-address="+host, "--port="+port,
			"--socket=server.sock", // in the data folder, whose whole path may be too long for a socket
			"--pid-file="+filepath.Join(folder, "server.pid"),
			"--init-file="+accounts,
			"--skip-name-resolve",
			"--innodb-buffer-pool-size=32M",
			"--innodb-flush-log-at-trx-commit=2", // what was written survives the process, if not the machine
			"--skip-sync-frm",
		),
		as: as,
	}, nil
}

// lookUp returns where a program of MariaDB is: on PATH, or where Debian puts it, which need not be on PATH.
func lookUp(program, debian string) (string, error) {
	for _, name := range []string{program, filepath.Join(debian, program)} {
		if found, err := exec.LookPath(name); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("services: MariaDB is %w: install its server"+
		" (Debian, Ubuntu: apt-get install mariadb-server; macOS: brew install mariadb)", ErrNotInstalled)
}

func pingMySQL(ctx context.Context, address string) error {
	dsn, err := MySQLDSN(address)
	if err != nil {
		return err
	}
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return errors.New("services: the driver does not know a parameter of the URL") // its error may quote the rest
	}
	cfg.Logger = &mysql.NopLogger{} // a server that is about to start hangs up
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close() //nolint:errcheck // nothing was written that could be lost
	return db.PingContext(ctx)
}
