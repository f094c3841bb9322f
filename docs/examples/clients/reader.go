// Reads a slot with pglogrepl, appends each change to a file, and confirms what is on disk.
//
//	go run reader.go 'dbname=shop replication=database' SLOT FILE
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	ctx := context.Background()
	conn, err := pgconn.Connect(ctx, os.Args[1])
	check(err)
	output, err := os.OpenFile(os.Args[3], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	check(err)
	check(pglogrepl.StartReplication(ctx, conn, os.Args[2], 0, pglogrepl.StartReplicationOptions{
		Mode: pglogrepl.LogicalReplication, PluginArgs: []string{"transactions 'true'"}}))

	var confirmed pglogrepl.LSN
	inTransaction := false
	confirm := func(position pglogrepl.LSN) {
		if position > confirmed {
			confirmed = position
		}
		check(pglogrepl.SendStandbyStatusUpdate(ctx, conn, pglogrepl.StandbyStatusUpdate{WALWritePosition: confirmed}))
	}
	for {
		wait, cancel := context.WithTimeout(ctx, 10*time.Second)
		message, err := conn.ReceiveMessage(wait)
		cancel()
		if pgconn.Timeout(err) {
			confirm(confirmed)
			continue
		}
		check(err)
		if failure, ok := message.(*pgproto3.ErrorResponse); ok {
			log.Fatal(pgconn.ErrorResponseToPgError(failure))
		}
		data, ok := message.(*pgproto3.CopyData)
		if !ok {
			continue
		}
		switch data.Data[0] {
		case pglogrepl.PrimaryKeepaliveMessageByteID:
			keepalive, err := pglogrepl.ParsePrimaryKeepaliveMessage(data.Data[1:])
			check(err)
			if !inTransaction { // everything is on disk, so an idle slot moves, too
				confirm(keepalive.ServerWALEnd)
			} else if keepalive.ReplyRequested {
				confirm(confirmed)
			}
		case pglogrepl.XLogDataByteID:
			wal, err := pglogrepl.ParseXLogData(data.Data[1:])
			check(err)
			var event struct {
				Op     string
				EndLSN string `json:"end_lsn"`
			}
			check(json.Unmarshal(wal.WALData, &event))
			switch event.Op {
			case "begin":
				inTransaction = true
			case "commit":
				inTransaction = false
			default:
				_, err = output.Write(append(wal.WALData, '\n'))
				check(err)
			}
			if event.EndLSN != "" { // a commit, or a message that is not transactional
				check(output.Sync())
				position, err := pglogrepl.ParseLSN(event.EndLSN)
				check(err)
				confirm(position)
			}
		}
	}
}
