package service

import "go.uber.org/fx"

// Module runs the service. It needs Settings, resiliencefx.Module and one of the modules of idempotencyfx.
var Module = fx.Module("payments",
	fx.Provide(NewGateway, NewLedger, NewHandler, NewServer),
	fx.Invoke(func(*Server) {}), // nothing else asks for it
)
