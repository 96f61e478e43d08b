package services

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
)

// account is a user of the system.
type account struct{ user, group uint32 }

// unprivileged returns the account to run a server as that refuses to run as root: that of the name, or nil, for the
// present one, if that is not root.
func unprivileged(name string) (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("services: the server refuses to run as root, and there is no user %[1]s for it;"+
			" add it (useradd --system %[1]s) or be another user: %[2]w", name, err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("services: id of the user %s: %w", name, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("services: group of the user %s: %w", name, err)
	}
	return &account{user: uint32(uid), group: uint32(gid)}, nil
}

// own makes files and folders the account's. The present account has its own already.
func (a *account) own(paths ...string) error {
	if a == nil {
		return nil
	}
	for _, path := range paths {
		if err := os.Chown(path, int(a.user), int(a.group)); err != nil {
			return fmt.Errorf("services: %w", err)
		}
	}
	return nil
}
