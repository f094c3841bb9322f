/*
 * format.h
 *		Fixed-size values as the server's output functions print them.
 *
 * Pure: no catalog, no setting, no memory. Each routine writes at p, where
 * the caller has made room for FORMAT_WIDTH bytes (numerics: numeric_room(),
 * hex: two bytes for one), and returns the byte after the last one written.
 * Nothing here needs an escape in JSON. Styles are those of
 * DateStyle=ISO, IntervalStyle=postgres, TimeZone=UTC, lc_monetary=C.
 */
#ifndef WALSPOUT_FORMAT_H
#define WALSPOUT_FORMAT_H

#include "postgres.h"

#include "utils/date.h"
#include "utils/timestamp.h"

/* The longest formatted value, an interval with every part, has 87 bytes. */
#define FORMAT_WIDTH 128

extern char *format_uint64(char *p, uint64 value);
extern char *format_int64(char *p, int64 value);

/* A position in the WAL as clients write it, without leading zeros: 0/1956AF0. */
extern char *format_lsn(char *p, uint64 lsn);

/* The fewest digits that read back the same; values that are not numbers come in quotes. */
extern char *format_float4(char *p, float4 value);
extern char *format_float8(char *p, float8 value);

/*
 * The payload of a numeric: digits has n bytes as stored (no length word, any
 * alignment). NaN and infinities come in quotes.
 */
extern Size numeric_room(const char *digits, Size n);
extern char *format_numeric(char *p, const char *digits, Size n);

/* As to_json() prints them: ISO 8601 with a T; not in quotes. */
extern char *format_date(char *p, DateADT date);
extern char *format_timestamp(char *p, Timestamp ts);
extern char *format_timestamptz(char *p, TimestampTz ts);

/* As their output functions print them. */
extern char *format_time(char *p, TimeADT time);
extern char *format_timetz(char *p, const TimeTzADT *time);
extern char *format_interval(char *p, const Interval *interval);
extern char *format_money(char *p, int64 cents);
extern char *format_uuid(char *p, const unsigned char *bytes);
extern char *format_hex(char *p, const unsigned char *bytes, Size n);

/* RFC 3339 in UTC with all six digits of the microseconds. */
extern char *format_rfc3339(char *p, TimestampTz ts);

/* Base 64 with padding; 4 bytes for every 3, rounded up. */
extern char *format_base64(char *p, const unsigned char *bytes, Size n);

#endif
