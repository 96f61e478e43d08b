// Package zaphooks writes the events of a hooks.Bus to a zap logger.
//
// What somebody should look at is a warning or an error: an opened circuit, attempts that are used up, a key that came
// with another payload, a result that could not be stored. Changes for the better are info. What an overload makes by
// the thousand (rejections, timeouts, single retries, duplicates) is debug, so that it does not flood a log at the
// usual level; for a log at debug level, use a sampling core (zapcore.NewSamplerWithOptions).
package zaphooks
