// Reads a stream as one consumer of a group: consumer NAME
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

const (
	stream = "walspout:shop:public.orders"
	group  = "notices"
)

type event struct {
	ID    string
	Op    string
	After struct {
		ID     int64
		Status *string
	}
}

// The work shares a transaction with the event's id: both are committed, or neither.
func handle(ctx context.Context, tx pgx.Tx, e event) error {
	if e.Op != "c" && e.Op != "u" {
		return nil
	}
	_, err := tx.Exec(ctx, "INSERT INTO notices VALUES ($1, $2)", e.After.ID, e.After.Status)
	return err
}

func process(ctx context.Context, database *pgx.Conn, document string) error {
	var e event
	if err := json.Unmarshal([]byte(document), &e); err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, database, func(tx pgx.Tx) error {
		done, err := tx.Exec(ctx, "INSERT INTO processed VALUES ($1) ON CONFLICT DO NOTHING", e.ID)
		if err != nil || done.RowsAffected() == 0 {
			return err
		}
		return handle(ctx, tx, e)
	})
}

func consume(ctx context.Context, store *redis.Client, database *pgx.Conn, name string, claimAfter time.Duration) error {
	err := store.XGroupCreateMkStream(ctx, stream, group, "0").Err()
	if err != nil && !strings.HasPrefix(err.Error(), "BUSYGROUP") {
		return err
	}
	for position := "0-0"; ; {
		// First take entries that a dead or failed consumer did not finish. One at a time: an entry that always fails
		// delays no other.
		var entries []redis.XMessage
		entries, position, err = store.XAutoClaim(ctx, &redis.XAutoClaimArgs{
			Stream: stream, Group: group, Consumer: name, MinIdle: claimAfter, Start: position, Count: 1}).Result()
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			answer, err := store.XReadGroup(ctx, &redis.XReadGroupArgs{
				Group: group, Consumer: name, Streams: []string{stream, ">"}, Count: 10, Block: time.Second}).Result()
			if err == redis.Nil {
				continue
			} else if err != nil {
				return err
			}
			entries = answer[0].Messages
		}
		for _, entry := range entries {
			if err := process(ctx, database, entry.Values["data"].(string)); err != nil {
				return err
			}
			done := store.TxPipeline()
			done.XAck(ctx, stream, group, entry.ID)
			done.XDel(ctx, stream, entry.ID) // leave this out if the stream has other groups
			if _, err := done.Exec(ctx); err != nil {
				return err
			}
		}
	}
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func main() {
	ctx := context.Background()
	claimAfter, err := time.ParseDuration(setting("CLAIM_AFTER_MS", "60000") + "ms") // longer than any event takes
	if err != nil {
		log.Fatal(err)
	}
	options, err := redis.ParseURL(setting("REDIS_URL", "redis://127.0.0.1:6379"))
	if err != nil {
		log.Fatal(err)
	}
	database, err := pgx.Connect(ctx, "dbname=notices")
	if err != nil {
		log.Fatal(err)
	}
	// Any error ends the program. Its supervisor starts it again, and no entry is lost.
	log.Fatal(consume(ctx, redis.NewClient(options), database, os.Args[1], claimAfter))
}
