/*
 * fuzz_frames.c
 *		Fuzzer of frames.c and of the tests' reader of frames.
 *
 * The input serves as a message, which the reader must survive. It also serves
 * as a list of frames to write, which the reader must find again.
 */
#include "fuzz.h"

#include "frames.h"
#include "naive_frames.h"

static uint64 sum;
static NaiveColumn columns[NAIVE_COLUMNS];

/* Read every byte, so that the sanitizer sees bytes that are not ours. */
static void
touch(const unsigned char *bytes, Size n)
{
	while (n-- > 0)
		sum += *bytes++;
}

static void
read_message(const uint8_t *data, Size n)
{
	unsigned char *message = exact_copy(data, n);
	NaiveReader reader;
	NaiveFrame	frame = {.columns = columns};

	if (naive_open(&reader, message, n))
		while (naive_next(&reader, &frame) == NAIVE_FRAME)
		{
			touch(frame.schema, frame.schema_size);
			touch(frame.table, frame.table_size);
			touch(frame.document, frame.document_size);
			touch(frame.content, frame.content_size);
			for (int i = 0; i < Min(frame.ncolumns, NAIVE_COLUMNS); i++)
			{
				touch(columns[i].name, columns[i].name_size);
				touch(columns[i].type_name, columns[i].type_name_size);
			}
			for (int i = 0; i < 3; i++)
				touch(frame.document + frame.spans[i].begin, frame.spans[i].size);
		}
	free(message);
}

/* The same bytes after a header, so that no luck is needed to get past the header. */
static void
read_frames(const uint8_t *data, Size n)
{
	uint8_t    *message = malloc(n + 4);

	memcpy(message, "WS\2", 4);
	if (n > 0)
		memcpy(message + 4, data, n);
	read_message(message, n + 4);
	free(message);
}

/* The input as a source of numbers; zeros after its end. */
typedef struct Script
{
	const uint8_t *p;
	const uint8_t *end;
} Script;

static uint64
take(Script *script, int bytes)
{
	uint64		value = 0;

	while (bytes-- > 0)
		value = value << 8 | (script->p < script->end ? *script->p++ : 0);
	return value;
}

static const char *
take_bytes(Script *script, Size most, Size *n)
{
	Size		wanted = take(script, 2) % (most + 1);
	const char *bytes;

	*n = Min(wanted, (Size) (script->end - script->p));
	bytes = (const char *) script->p;
	script->p += *n;
	return bytes;
}

static void
same_bytes(const unsigned char *a, Size a_size, const char *b, Size b_size)
{
	must(a_size == b_size);
	must(b_size == 0 || memcmp(a, b, b_size) == 0);
}

static char *
take_string(Script *script, Size most)
{
	Size		n;
	const char *bytes = take_bytes(script, most, &n);

	return pnstrdup(bytes, n);
}

/* Read the frame that was written at the end of the message, and nothing more. */
static void
read_back(StringInfo s, int begin, NaiveFrame *frame)
{
	NaiveReader reader = {
		(unsigned char *) s->data + begin, (unsigned char *) s->data + s->len
	};
	NaiveFrame	none = {0};

	must(naive_next(&reader, frame) == NAIVE_FRAME);
	must(naive_next(&reader, &none) == NAIVE_END);
}

static void
write_transaction(StringInfo s, Script *script, char kind)
{
	int			begin = s->len;
	Transaction txn = {0};
	NaiveFrame	frame = {0};

	txn.lsn = take(script, 8);
	txn.end_lsn = take(script, 8);
	txn.events = take(script, 8);
	txn.xid = (TransactionId) take(script, 4);
	txn.commit_time = (TimestampTz) (take(script, 8) >> 2);
	if (kind == 'B')
		frames_begin(s, &txn);
	else
		frames_commit(s, &txn);
	read_back(s, begin, &frame);
	must(frame.kind == kind && frame.lsn == txn.lsn);
	if (kind == 'B')
	{
		int64		epoch = INT64CONST(946684800000000);

		must(frame.xid == txn.xid);
		must(frame.commit_time == (txn.xid ? txn.commit_time + epoch : 0));
	}
	else
		must(frame.end_lsn == txn.end_lsn && frame.events == txn.events);
}

static void
write_relation(StringInfo s, Script *script)
{
	int			begin = s->len;
	CachedRelation relation = {0};
	ColumnShape shape[5];
	NaiveFrame	frame = {.columns = columns};

	relation.relid = (Oid) take(script, 4);
	relation.schema = take_string(script, 300);
	relation.table = take_string(script, 300);
	relation.ncolumns = (int) take(script, 1) % (lengthof(shape) + 1);
	relation.shape = shape;
	for (int i = 0; i < relation.ncolumns; i++)
	{
		shape[i].name = take_string(script, 300);
		shape[i].type_name = take_string(script, 300);
		shape[i].type = (Oid) take(script, 4);
		shape[i].type_modifier = (int32) take(script, 4);
		shape[i].in_key = take(script, 1) & 1;
		shape[i].not_null = take(script, 1) & 1;
	}
	frames_relation(s, &relation);
	read_back(s, begin, &frame);
	must(frame.kind == 'R' && frame.relation == relation.relid);
	same_bytes(frame.schema, frame.schema_size, relation.schema, strlen(relation.schema));
	same_bytes(frame.table, frame.table_size, relation.table, strlen(relation.table));
	must(frame.ncolumns == relation.ncolumns);
	for (int i = 0; i < relation.ncolumns; i++)
	{
		same_bytes(columns[i].name, columns[i].name_size, shape[i].name, strlen(shape[i].name));
		same_bytes(columns[i].type_name, columns[i].type_name_size, shape[i].type_name,
				   strlen(shape[i].type_name));
		must(columns[i].type == shape[i].type);
		must(columns[i].type_modifier == shape[i].type_modifier);
		must(columns[i].in_key == shape[i].in_key && columns[i].not_null == shape[i].not_null);
		pfree((char *) shape[i].name);
		pfree((char *) shape[i].type_name);
	}
	pfree((char *) relation.schema);
	pfree((char *) relation.table);
}

/* An object somewhere after position *end of a document of n bytes, or none. */
static Span
take_span(Script *script, Size *end, Size n)
{
	Span		span = {0};

	if (take(script, 1) & 1)
		return span;
	span.begin = *end + take(script, 2) % (n - *end + 1);
	span.size = take(script, 2) % (n - span.begin + 1);
	*end = span.begin + span.size;
	return span;
}

static bool
same_span(NaiveSpan read, Span written)
{
	return read.size == written.size && (written.size == 0 || read.begin == written.begin);
}

static void
write_mark(StringInfo s, Script *script)
{
	int			begin = s->len;
	NaiveFrame	frame = {0};
	Size		size;
	const char *content = take_bytes(script, 2000, &size);

	frames_mark(s, content, size);
	read_back(s, begin, &frame);
	must(frame.kind == 'M');
	same_bytes(frame.content, frame.content_size, content, size);
}

static void
write_cursor(StringInfo s, Script *script)
{
	int			begin = s->len;
	const char *values[3];
	FrameCursor cursor = {.values = values};
	NaiveFrame	frame = {0};

	cursor.at_end = take(script, 1) & 1;
	cursor.rows = take(script, 8);
	cursor.nvalues = (int) take(script, 1) % (lengthof(values) + 1);
	for (int i = 0; i < cursor.nvalues; i++)
		values[i] = take_string(script, 300);
	frames_cursor(s, &cursor);
	read_back(s, begin, &frame);
	must(frame.kind == 'K' && frame.at_end == cursor.at_end && frame.rows == cursor.rows);
	must(frame.nvalues == cursor.nvalues);
	for (int i = 0; i < cursor.nvalues; i++)
	{
		if (i == cursor.nvalues - 1)
			same_bytes(frame.content, frame.content_size, values[i], strlen(values[i]));
		pfree((char *) values[i]);
	}
}

static void
write_event(StringInfo s, Script *script, char op)
{
	int			begin = s->len;
	int			after_header;
	FrameEvent	event = {.op = op};
	Size		size;
	Size		end = 0;
	const char *document;
	uint32		numbers[NAIVE_MEMBERS];
	uint32		old_key[NAIVE_MEMBERS];
	FrameMembers members = {.numbers = numbers};
	NaiveFrame	frame = {0};

	event.barrier = take(script, 1) & 1;
	event.index = take(script, 8);
	event.relation = (Oid) take(script, 4);
	event.hash = take(script, 8);
	document = take_bytes(script, 4000, &size);
	event.key = take_span(script, &end, size);
	event.before = take_span(script, &end, size);
	event.after = take_span(script, &end, size);

	after_header = frames_event_begin(s);
	appendBinaryStringInfo(s, document, (int) size);
	if (take(script, 1) & 1)
	{
		members.open_id = take(script, 1) & 1;
		members.n = (int) take(script, 1) % (NAIVE_MEMBERS + 1);
		for (int i = 0; i < members.n; i++)
			numbers[i] = (uint32) take(script, 4);
		members.old_key = old_key;
		members.nold_key = (int) take(script, 1) % ((NAIVE_MEMBERS - members.n) / 2 + 1);
		for (int i = 0; i < 2 * members.nold_key; i++)
			old_key[i] = (uint32) take(script, 4);
		frames_told_event_end(s, after_header, &event, &members);
	}
	else
		frames_event_end(s, after_header, &event);
	read_back(s, begin, &frame);
	must(frame.nmembers == members.n + 2 * members.nold_key && frame.open_id == members.open_id);
	must(frame.old_key == (members.nold_key > 0));
	for (int i = 0; i < members.n; i++)
		must(frame.members[i] == numbers[i]);
	for (int i = 0; i < 2 * members.nold_key; i++)
		must(frame.members[members.n + i] == old_key[i]);
	must(frame.kind == op && frame.barrier == event.barrier && frame.index == event.index);
	must(frame.relation == event.relation && frame.hash == event.hash);
	must(same_span(frame.spans[0], event.key) && same_span(frame.spans[1], event.before));
	must(same_span(frame.spans[2], event.after));
	same_bytes(frame.document, frame.document_size, document, size);
}

static void
write_message(const uint8_t *data, Size n)
{
	static const char kinds[] = "BCRMKcudtmr";
	Script		script = {data, data + n};
	StringInfoData s;
	NaiveReader reader;
	NaiveFrame	frame = {0};
	int			frames = 0;

	initStringInfo(&s);
	frames_header(&s);
	while (script.p < script.end)
	{
		char		kind = kinds[take(&script, 1) % (sizeof(kinds) - 1)];

		if (kind == 'B' || kind == 'C')
			write_transaction(&s, &script, kind);
		else if (kind == 'R')
			write_relation(&s, &script);
		else if (kind == 'M')
			write_mark(&s, &script);
		else if (kind == 'K')
			write_cursor(&s, &script);
		else
			write_event(&s, &script, kind);
		frames++;
	}
	must(naive_open(&reader, s.data, s.len));
	while (frames-- > 0)
		must(naive_next(&reader, &frame) == NAIVE_FRAME);
	must(naive_next(&reader, &frame) == NAIVE_END);
	pfree(s.data);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	read_message(data, n);
	read_frames(data, n);
	write_message(data, n);
	return 0;
}
