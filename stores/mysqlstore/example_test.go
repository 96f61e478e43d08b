package mysqlstore_test

import (
	"database/sql"
	"fmt"

	_ "github.com/go-sql-driver/mysql"

	"github.com/steadyfx/steady/stores/mysqlstore"
)

func Example() {
	db, err := sql.Open("mysql", "app:password@tcp(localhost:3306)/payments")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close() // the store borrows it

	store, err := mysqlstore.NewIdempotency(db, mysqlstore.Config{Table: "payment_keys"})
	fmt.Println(store != nil, err) // nothing has connected yet; store.EnsureSchema does

	_, err = mysqlstore.NewIdempotency(db, mysqlstore.Config{Table: "payment-keys"})
	fmt.Println(err)

	// Output:
	// true <nil>
	// idempotency: mysql: table: must be letters, digits and underscores and not begin with a digit, got "payment-keys"
}
