module github.com/steadyfx/steady

go 1.26.0
