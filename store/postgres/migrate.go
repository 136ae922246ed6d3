package postgres

import (
	"context"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// migrate applies the migrations that the database has not seen, each in a transaction
// with the row that says so. Replicas that start together collide on that row; the
// loser finds the work done.
func (e *Engine) migrate(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errTimeout)
	defer cancel()
	const ledger = `CREATE TABLE IF NOT EXISTS orgate_schema (version int PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`
	if err := e.again(ctx, func() error { _, err := e.pool.Exec(ctx, ledger); return err }); err != nil {
		return err
	}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	for _, name := range names { // Glob sorts
		number, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
		version, err := strconv.Atoi(number)
		if err != nil {
			return fmt.Errorf("migration %s has no number: %w", name, err)
		}
		script, err := fs.ReadFile(migrations, name)
		if err != nil {
			return err
		}
		err = e.again(ctx, func() error {
			return pgx.BeginTxFunc(ctx, e.pool, pgx.TxOptions{IsoLevel: pgx.Serializable}, func(tx pgx.Tx) error {
				var done bool
				if err := tx.QueryRow(ctx, `SELECT count(*) > 0 FROM orgate_schema WHERE version = $1`, version).Scan(&done); err != nil || done {
					return err
				}
				if _, err := tx.Exec(ctx, `INSERT INTO orgate_schema (version) VALUES ($1)`, version); err != nil {
					return err
				}
				_, err := tx.Exec(ctx, string(script))
				return err
			})
		})
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	var newest int
	if err := e.pool.QueryRow(ctx, `SELECT max(version) FROM orgate_schema`).Scan(&newest); err != nil {
		return classify(err)
	}
	if newest > len(names) {
		return fmt.Errorf("the database has schema version %d, and this orgate knows %d: it was used by a newer release", newest, len(names))
	}
	return nil
}
