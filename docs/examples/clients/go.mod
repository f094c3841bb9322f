module example.com/reader

go 1.19

require (
	github.com/jackc/pglogrepl v0.0.0-20230428004623-0c5b98f52784
	github.com/jackc/pgx/v5 v5.3.1
)

require (
	github.com/jackc/pgio v1.0.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20221227161230-091c0ba34f0a // indirect
	golang.org/x/crypto v0.6.0 // indirect
	golang.org/x/text v0.7.0 // indirect
)
