package proxy

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/store"
)

// A slowStore is an engine whose reading can be held up.
type slowStore struct {
	store.Engine
	once       sync.Once
	came, goOn chan struct{}
}

func (s *slowStore) View(ctx context.Context, fn func(store.KV) error) error {
	s.once.Do(func() { close(s.came) })
	<-s.goOn
	return s.Engine.View(ctx, fn)
}

// A request may be looked at, and not be under way yet, when all connections are closed: then it does not begin
// any more, and nobody waits for its app.
func TestNothingBeginsOnAConnectionThatIsAborted(t *testing.T) {
	s := newStage(t)
	_, c := s.jo()
	release, reached := make(chan struct{}), make(chan struct{}, 9)
	app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		reached <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(app.Close)
	t.Cleanup(func() { close(release) })
	o := s.acme
	o.Upstreams = map[string]string{"app": app.URL}
	s.update(func(tx tx) error { return save(tx, o, s.world) })
	l := s.listen()
	slow := &slowStore{Engine: s.engine.Engine, came: make(chan struct{}), goOn: make(chan struct{})}
	var e store.Engine = slow
	s.engine.standby.Store(&e)
	conn := s.call(l.Addr().String())
	conn.say(request("GET", "/a", c))
	<-slow.came
	aborted := make(chan error, 1)
	go func() { aborted <- l.Abort() }()
	s.eventually("the connection is forgotten", func() bool { return len(l.all()) == 0 })
	close(slow.goOn)
	select {
	case err := <-aborted:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(3 * time.Second):
		t.Error("the end waits for an app")
	}
	conn.ended("aborted")
	if len(reached) > 0 {
		t.Error("a request began on a connection that had ended")
	}
}
