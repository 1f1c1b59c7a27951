module nodekiln.dev/native

go 1.26.0

require (
	github.com/godbus/dbus/v5 v5.2.4
	github.com/klauspost/compress v1.17.11
	github.com/ulikunitz/xz v0.5.15
	golang.org/x/net v0.58.0
	golang.org/x/sys v0.49.0
	modernc.org/libc v1.80.1
	modernc.org/libquickjs v0.14.0
	modernc.org/memory v1.12.1
	zombiezen.com/go/sqlite v1.4.2
)

require (
	github.com/dustin/go-humanize v1.1.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/ncruces/go-strftime v1.1.0 // indirect
	github.com/remyoudompheng/bigfft v0.0.0-20230129092748-24d4a6f8daec // indirect
	golang.org/x/text v0.41.0 // indirect
	modernc.org/mathutil v1.7.1 // indirect
	modernc.org/sqlite v1.37.1 // indirect
)
