// A receiver of webhooks.
package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

type event struct {
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

func process(ctx context.Context, pool *pgxpool.Pool, id string, e event) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		done, err := tx.Exec(ctx, "INSERT INTO processed VALUES ($1) ON CONFLICT DO NOTHING", id)
		if err != nil || done.RowsAffected() == 0 {
			return err
		}
		return handle(ctx, tx, e)
	})
}

func hook(webhook *standardwebhooks.Webhook, pool *pgxpool.Pool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 16<<20))
		if err != nil {
			http.Error(w, "the body is too long, or was cut", http.StatusRequestEntityTooLarge)
			return
		}
		if webhook.Verify(body, r.Header) != nil {
			http.Error(w, "no valid signature", http.StatusUnauthorized)
			return
		}
		var e event
		if err = json.Unmarshal(body, &e); err == nil {
			err = process(r.Context(), pool, r.Header.Get("webhook-id"), e)
		}
		if err != nil {
			log.Print(err)
			http.Error(w, "the event has to come again", http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent) // only now
	}
}

func main() {
	webhook, err := standardwebhooks.NewWebhook(os.Getenv("WEBHOOK_SECRET"))
	if err != nil {
		log.Fatal(err)
	}
	pool, err := pgxpool.New(context.Background(), "dbname=notices")
	if err != nil {
		log.Fatal(err)
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	http.Handle("/hook", hook(webhook, pool))
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil))
}
