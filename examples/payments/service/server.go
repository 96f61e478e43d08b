package service

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"
)

// Server serves the API from the start of the application to its stop.
type Server struct {
	listen string
	http   http.Server
	addr   net.Addr
	log    *zap.Logger
	stop   fx.Shutdowner
}

// NewServer adds the server to the lifecycle.
func NewServer(lc fx.Lifecycle, stop fx.Shutdowner, log *zap.Logger, settings Settings, api *Handler) *Server {
	s := &Server{
		listen: settings.Listen, log: log, stop: stop,
		http: http.Server{
			Handler:           api,
			ReadHeaderTimeout: 2 * time.Second,
			ReadTimeout:       5 * time.Second,
			WriteTimeout:      20 * time.Second, // a charge with its retries, and storing the answer
			IdleTimeout:       time.Minute,
			ErrorLog:          zap.NewStdLog(log),
		},
	}
	lc.Append(fx.StartStopHook(s.start, s.http.Shutdown))
	return s
}

// URL is the base of the API. It is known once the application has started.
func (s *Server) URL() string { return "http://" + s.addr.String() }

func (s *Server) start(ctx context.Context) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", s.listen)
	if err != nil {
		return err
	}
	s.addr = listener.Addr()
	go s.serve(listener)
	return nil
}

// serve takes the whole application down if the server ends by itself.
func (s *Server) serve(listener net.Listener) {
	if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		s.log.Error("the server ended", zap.Error(err))
		_ = s.stop.Shutdown(fx.ExitCode(1)) // fails only if nobody waits for it
	}
}
