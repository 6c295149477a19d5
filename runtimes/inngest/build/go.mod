module bakeoff.local/engines/inngest

go 1.26.4

require github.com/inngest/inngest v1.43.0
