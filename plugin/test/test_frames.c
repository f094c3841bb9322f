/*
 * test_frames.c
 *		Tests of frames.c: the bytes of each frame, and messages read back by
 *		naive_frames.h.
 *
 * The bytes are written out here because other programs read them. A change
 * that both ends in this repository accept still breaks every older reader.
 */
#include "unit.h"

#include "frames.h"
#include "naive_frames.h"

#define YEAR_2000 (INT64CONST(946684800) * 1000000) /* in microseconds since 1970 */

static StringInfoData message;

static void
check_bytes(const void *bytes, Size n)
{
	assert_int_equal(message.len, n);
	assert_memory_equal(message.data, bytes, n);
	pfree(message.data);
}

static void
header_is_magic_and_version(void **state)
{
	initStringInfo(&message);
	frames_header(&message);
	check_bytes("WS\2\0", 4);
}

static void
prefix_is_what_the_frame_holds(void **state)
{
	static const unsigned char bytes[] = {
		'P', 0, 0, 0, 0, 0, 0, 3, 'a', '"', 'b', 'P', 0, 0, 0, 0, 0, 0, 0
	};

	initStringInfo(&message);
	frames_prefix(&message, "a\"b");
	frames_prefix(&message, "");
	check_bytes(bytes, sizeof(bytes));
}

static void
begin_has_lsn_time_and_xid(void **state)
{
	static const unsigned char bytes[] = {
		'B', 0, 0, 0, 0, 0, 0, 20,
		0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
		0x00, 0x03, 0x5D, 0x01, 0x3B, 0x37, 0xE0, 0x01, /* 946684800000001 */
		0xFF, 0xEE, 0xDD, 0xCC
	};
	Transaction txn = {
		.lsn = UINT64CONST(0x0102030405060708), .commit_time = 1, .xid = 0xFFEEDDCC
	};

	initStringInfo(&message);
	frames_begin(&message, &txn);
	check_bytes(bytes, sizeof(bytes));
}

/* A message outside of transactions: its time, whatever it holds, is ignored. */
static void
begin_without_a_transaction_has_no_time(void **state)
{
	static const unsigned char bytes[28] = {
		'B', 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 9
	};
	Transaction txn = {.lsn = 9, .commit_time = 123456789};

	initStringInfo(&message);
	frames_begin(&message, &txn);
	check_bytes(bytes, sizeof(bytes));
}

static void
commit_has_both_lsns_and_the_count(void **state)
{
	static const unsigned char bytes[] = {
		'C', 0, 0, 0, 0, 0, 0, 24,
		0, 0, 0, 1, 0, 0, 0, 2,
		0, 0, 0, 1, 0, 0, 0, 0x42,
		0, 0, 0, 0, 0, 1, 0x86, 0xA0	/* 100000 */
	};
	Transaction txn = {
		.lsn = UINT64CONST(0x100000002), .end_lsn = UINT64CONST(0x100000042), .events = 100000,
		.next_index = 200000
	};

	initStringInfo(&message);
	frames_commit(&message, &txn);
	check_bytes(bytes, sizeof(bytes));
}

/* The id is the table's own; the names may be those of a partition's root. */
static void
relation_has_its_names_and_columns(void **state)
{
	static const unsigned char bytes[] = {
		'R', 0, 0, 0, 0, 0, 0, 10 + 6 + 7 + 13 + 2 + 7 + 13 + 2 + 21,
		0xDE, 0xAD, 0xBE, 0xEF, 0, 6, 0, 7, 0, 2,
		'p', 'u', 'b', 'l', 'i', 'c', 'b', 0xC3, 0xBC, 'c', 'h', 'e', 'r',
		3, 0, 0, 0, 23, 0xFF, 0xFF, 0xFF, 0xFF, 0, 2, 0, 7,
		'i', 'd', 'i', 'n', 't', 'e', 'g', 'e', 'r',
		0, 0, 0, 0x04, 0x13, 0, 0, 0, 44, 0, 2, 0, 21,
		0xC3, 0xA9, 'c', 'h', 'a', 'r', 'a', 'c', 't', 'e', 'r', ' ', 'v', 'a', 'r', 'y', 'i', 'n',
		'g', '(', '4', '0', ')'
	};
	ColumnShape shape[] = {
		{"id", "integer", 23, -1, true, true}, {"\xC3\xA9", "character varying(40)", 1043, 44}
	};
	CachedRelation relation = {
		.relid = 0xDEADBEEF, .published = {.relid = 77}, .schema = "public",
		.table = "b\xC3\xBC" "cher", .ncolumns = lengthof(shape), .shape = shape
	};

	initStringInfo(&message);
	frames_relation(&message, &relation);
	check_bytes(bytes, sizeof(bytes));
}

static void
append_event(StringInfo s, const FrameEvent *event, const char *document, Size n)
{
	int			begin = frames_event_begin(s);

	appendBinaryStringInfo(s, document, (int) n);
	frames_event_end(s, begin, event);
}

static void
event_has_its_header_before_the_document(void **state)
{
	static const unsigned char bytes[] = {
		'u', 1, 0, 0, 0, 0, 0, 20 + 2,
		0, 0, 0x40, 0x01,
		0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8,
		0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
		'{', '}'
	};
	FrameEvent	event = {
		.op = 'u', .barrier = true, .index = UINT64CONST(0x1112131415161718),
		.relation = 0x4001, .hash = UINT64CONST(0xF1F2F3F4F5F6F7F8)
	};

	initStringInfo(&message);
	append_event(&message, &event, "{}", 2);
	check_bytes(bytes, sizeof(bytes));
}

/* For each object: the bytes between it and the previous one, and its size. */
static void
event_has_its_objects_behind_the_document(void **state)
{
	static const char document[] = "{\"key\":{},\"before\":{},\"after\":{}}";
	Size		n = sizeof(document) - 1;
	FrameEvent	event = {
		.op = 'u', .key = {7, 2}, .before = {19, 2}, .after = {30, 2}
	};

	initStringInfo(&message);
	append_event(&message, &event, document, n);
	assert_int_equal(message.len, 28 + n + 6);
	assert_memory_equal(message.data, "u\16\0\6\0\0\0", 7);
	assert_int_equal(message.data[7], 20 + n + 6);
	assert_memory_equal(message.data + 28, document, n);
	assert_memory_equal(message.data + 28 + n, "\7\2\12\2\11\2", 6);
	pfree(message.data);

	event.key.size = event.after.size = 0;
	initStringInfo(&message);
	append_event(&message, &event, document, n);
	assert_memory_equal(message.data, "u\4\0\2", 4);
	assert_memory_equal(message.data + 28 + n, "\23\2", 2);
	pfree(message.data);
}

static void
mark_is_what_the_frame_holds(void **state)
{
	static const unsigned char bytes[] = {
		'M', 0, 0, 0, 0, 0, 0, 3, 'a', '\0', 'b', 'M', 0, 0, 0, 0, 0, 0, 0
	};

	initStringInfo(&message);
	frames_mark(&message, "a\0b", 3);
	frames_mark(&message, "", 0);
	check_bytes(bytes, sizeof(bytes));
}

static void
cursor_has_its_rows_and_values(void **state)
{
	static const unsigned char bytes[] = {
		'K', 0, 0, 0, 0, 0, 0, 10 + 6 + 4,
		0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0, 2,
		0, 0, 0, 2, '4', '2', 0, 0, 0, 0,
		'K', 1, 0, 0, 0, 0, 0, 10,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0
	};
	const char *values[] = {"42", ""};
	FrameCursor cursor = {
		.rows = UINT64CONST(0x0102030405060708), .nvalues = 2, .values = values
	};
	FrameCursor end = {.at_end = true};

	initStringInfo(&message);
	frames_cursor(&message, &cursor);
	frames_cursor(&message, &end);
	check_bytes(bytes, sizeof(bytes));
}

static void
append_told_event(StringInfo s, const FrameEvent *event, const FrameMembers *members,
				  const char *document, Size n)
{
	int			begin = frames_event_begin(s);

	appendBinaryStringInfo(s, document, (int) n);
	frames_told_event_end(s, begin, event, members);
}

/* As in the example of the specification. */
static void
event_has_its_members_behind_its_objects(void **state)
{
	static const char document[] = "{\"after\":{\"id\":1,\"v\":\"a\"}}";
	static const uint32 numbers[] = {12, 0, 14, 10001};
	Size		n = sizeof(document) - 1;
	FrameEvent	event = {.op = 'u', .after = {9, 16}};
	FrameMembers members = {.numbers = numbers, .n = 4};

	initStringInfo(&message);
	append_told_event(&message, &event, &members, document, n);
	assert_memory_equal(message.data, "u\30\0\7", 4);
	assert_int_equal(message.len, 28 + n + 7);
	assert_memory_equal(message.data + 28 + n, "\11\20\14\0\16\221\116", 7);
	pfree(message.data);

	/* of a row that was read: with an open id, and perhaps without columns */
	event.op = 'r';
	members.open_id = true;
	members.n = 0;
	initStringInfo(&message);
	append_told_event(&message, &event, &members, document, n);
	assert_memory_equal(message.data, "r\70\0\2", 4);
	pfree(message.data);
}

/* As in the example of the specification. */
static void
event_tells_where_its_old_key_is(void **state)
{
	static const char document[] = "{\"before\":{\"a\":1,\"v\":\"x\",\"b\":2}}";
	static const uint32 old_key[] = {1, 5, 9, 5};
	static const uint32 numbers[] = {10, 0};
	Size		n = sizeof(document) - 1;
	FrameEvent	event = {.op = 'u', .barrier = true, .before = {10, 21}};
	FrameMembers members = {.old_key = old_key, .nold_key = 2};

	initStringInfo(&message);
	append_told_event(&message, &event, &members, document, n);
	assert_memory_equal(message.data, "u\105\0\6", 4);
	assert_int_equal(message.len, 28 + n + 6);
	assert_memory_equal(message.data + 28 + n, "\12\25\1\5\11\5", 6);
	pfree(message.data);

	/* after the members */
	members.numbers = numbers;
	members.n = 2;
	initStringInfo(&message);
	append_told_event(&message, &event, &members, document, n);
	assert_memory_equal(message.data, "u\125\0\10", 4);
	assert_memory_equal(message.data + 28 + n, "\12\25\12\0\1\5\11\5", 8);
	pfree(message.data);
}

static void
as_many_members_as_a_table_has_columns(void **state)
{
	uint32		numbers[1600];
	FrameEvent	event = {.op = 'u'};
	FrameMembers members = {.numbers = numbers, .n = 1600};
	NaiveReader reader;
	NaiveFrame	frame = {0};

	memset(numbers, 0xFF, sizeof(numbers));
	initStringInfo(&message);
	frames_header(&message);
	append_told_event(&message, &event, &members, "", 0);
	assert_int_equal(message.len, 4 + 28 + 1600 * 5);
	assert_true(naive_open(&reader, message.data, message.len));
	assert_int_equal(naive_next(&reader, &frame), NAIVE_FRAME);
	assert_int_equal(frame.nmembers, 1600);
	assert_true(frame.members[0] == UINT64CONST(0xFFFFFFFF));
	assert_int_equal(naive_next(&reader, &frame), NAIVE_END);
	pfree(message.data);
}

/* Seven bits a byte: positions have no limit but that of documents. */
static void
event_has_objects_anywhere(void **state)
{
	static const unsigned char spans[] = {
		0xFF, 0x7F, 0x80, 0x01, /* 16383 bytes, then 128 */
		0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F	/* none, then 2^32 - 1 */
	};
	FrameEvent	event = {
		.op = 'u', .key = {16383, 128}, .after = {16511, UINT64CONST(0xFFFFFFFF)}
	};

	initStringInfo(&message);
	append_event(&message, &event, "", 0);
	assert_memory_equal(message.data, "u\12\0\12", 4);
	assert_int_equal(message.len, 28 + sizeof(spans));
	assert_memory_equal(message.data + 28, spans, sizeof(spans));
	pfree(message.data);
}

static void
event_without_anything_is_zeros(void **state)
{
	static const unsigned char bytes[28] = {'m', 0, 0, 0, 0, 0, 0, 20};
	FrameEvent	event = {.op = 'm'};

	initStringInfo(&message);
	append_event(&message, &event, "", 0);
	check_bytes(bytes, sizeof(bytes));
}

/* The header is written last, when the document may have moved the message. */
static void
event_header_goes_where_the_message_has_moved_to(void **state)
{
	FrameEvent	event = {.op = 'c', .index = 3};
	char	   *document = malloc(100000);
	NaiveReader reader;
	NaiveFrame	frame = {0};

	memset(document, 'x', 100000);
	initStringInfo(&message);
	frames_header(&message);
	append_event(&message, &event, document, 100000);
	assert_int_equal(message.len, 4 + 28 + 100000);
	assert_true(naive_open(&reader, message.data, message.len));
	assert_int_equal(naive_next(&reader, &frame), NAIVE_FRAME);
	assert_int_equal(frame.index, 3);
	assert_int_equal(frame.document_size, 100000);
	assert_memory_equal(frame.document, document, 100000);
	assert_int_equal(naive_next(&reader, &frame), NAIVE_END);
	pfree(message.data);
	free(document);
}

/* Random numbers of random size: small ones are as likely as large ones. */
static uint64
some_number(int bits)
{
	return next_random() >> (64 - bits) >> random_below(bits);
}

/* Objects in the document, in their order; size 0: the document lacks the object. */
static void
add_random_spans(FrameEvent *event, NaiveFrame *expected)
{
	Span	   *spans[] = {&event->key, &event->before, &event->after};
	Size		end = 0;

	for (int i = 0; i < lengthof(spans); i++)
	{
		spans[i]->begin = end + random_below(expected->document_size - end + 1);
		spans[i]->size = random_below(expected->document_size - spans[i]->begin + 1);
		if (spans[i]->size == 0)
			continue;
		expected->spans[i].begin = spans[i]->begin;
		expected->spans[i].size = spans[i]->size;
		end = spans[i]->begin + spans[i]->size;
	}
}

/* The appended frames, in the reader's terms. */
static void
append_random_frame(StringInfo s, NaiveFrame *expected, char *space)
{
	static const char kinds[] = "BCRMKcudtmr";
	Transaction txn = {.lsn = some_number(64), .end_lsn = some_number(64)};

	memset(expected, 0, sizeof(*expected));
	expected->kind = kinds[random_below(sizeof(kinds) - 1)];
	if (expected->kind == 'B')
	{
		txn.xid = (TransactionId) some_number(32);
		txn.commit_time = (TimestampTz) some_number(62);
		frames_begin(s, &txn);
		expected->lsn = txn.lsn;
		expected->xid = txn.xid;
		expected->commit_time = txn.xid ? txn.commit_time + YEAR_2000 : 0;
	}
	else if (expected->kind == 'C')
	{
		txn.events = some_number(64);
		frames_commit(s, &txn);
		expected->lsn = txn.lsn;
		expected->end_lsn = txn.end_lsn;
		expected->events = txn.events;
	}
	else if (expected->kind == 'M')
	{
		expected->content_size = random_below(512);
		memset(space, 'm', expected->content_size);
		expected->content = (unsigned char *) space;
		frames_mark(s, space, expected->content_size);
	}
	else if (expected->kind == 'K')
	{
		const char *values[] = {"", space};
		FrameCursor cursor = {.at_end = random_below(2), .rows = some_number(64), .values = values};

		memset(space, 'k', 511);
		space[random_below(512)] = '\0';
		space[511] = '\0';
		cursor.nvalues = expected->nvalues = (int) random_below(3);
		expected->at_end = cursor.at_end;
		expected->rows = cursor.rows;
		expected->content = (unsigned char *) space;
		expected->content_size = cursor.nvalues == 2 ? strlen(space) : 0;
		frames_cursor(s, &cursor);
	}
	else if (expected->kind == 'R')
	{
		ColumnShape shape[3];
		CachedRelation relation = {.relid = (Oid) some_number(32), .shape = shape};

		expected->schema_size = random_below(256);
		expected->table_size = random_below(256);
		memset(space, 's', 256);
		memset(space + 256, 't', 256);
		space[expected->schema_size] = space[256 + expected->table_size] = '\0';
		relation.schema = space;
		relation.table = space + 256;
		relation.ncolumns = expected->ncolumns = (int) random_below(lengthof(shape) + 1);
		for (int i = 0; i < relation.ncolumns; i++)
			shape[i] = (ColumnShape)
		{
			space, space + 256, (Oid) some_number(32),
				(int32) some_number(32), random_below(2), random_below(2)
		};
		frames_relation(s, &relation);
		expected->relation = relation.relid;
		expected->schema = (unsigned char *) relation.schema;
		expected->table = (unsigned char *) relation.table;
	}
	else
	{
		FrameEvent	event = {.op = expected->kind};
		uint32		numbers[NAIVE_MEMBERS];
		uint32		old_key[NAIVE_MEMBERS];
		FrameMembers members = {.numbers = numbers};

		expected->document = (unsigned char *) space;
		expected->document_size = random_below(512);
		for (Size i = 0; i < expected->document_size; i++)
			space[i] = (char) next_random();
		event.barrier = expected->barrier = random_below(2);
		event.index = expected->index = some_number(64);
		event.hash = expected->hash = some_number(64);
		event.relation = expected->relation = (uint32) some_number(32);
		add_random_spans(&event, expected);
		if (random_below(2))
		{
			append_event(s, &event, space, expected->document_size);
			return;
		}
		members.n = expected->nmembers = (int) random_below(NAIVE_MEMBERS + 1);
		members.open_id = expected->open_id = random_below(2);
		for (int i = 0; i < members.n; i++)
			expected->members[i] = numbers[i] = (uint32) some_number(32);
		members.old_key = old_key;
		members.nold_key = (int) random_below((NAIVE_MEMBERS - members.n) / 2 + 1);
		expected->old_key = members.nold_key > 0;
		expected->nmembers += 2 * members.nold_key;
		for (int i = 0; i < 2 * members.nold_key; i++)
			expected->members[members.n + i] = old_key[i] = (uint32) some_number(32);
		append_told_event(s, &event, &members, space, expected->document_size);
	}
}

static void
assert_same_frame(const NaiveFrame *frame, const NaiveFrame *expected)
{
	assert_int_equal(frame->kind, expected->kind);
	assert_int_equal(frame->barrier, expected->barrier);
	assert_true(frame->lsn == expected->lsn);
	assert_true(frame->commit_time == expected->commit_time);
	assert_true(frame->xid == expected->xid);
	assert_true(frame->end_lsn == expected->end_lsn);
	assert_true(frame->events == expected->events);
	assert_true(frame->relation == expected->relation);
	assert_true(frame->hash == expected->hash);
	assert_true(frame->index == expected->index);
	assert_memory_equal(frame->spans, expected->spans, sizeof(frame->spans));
	assert_int_equal(frame->open_id, expected->open_id);
	assert_int_equal(frame->old_key, expected->old_key);
	assert_int_equal(frame->nmembers, expected->nmembers);
	assert_memory_equal(frame->members, expected->members, sizeof(frame->members));
	assert_int_equal(frame->at_end, expected->at_end);
	assert_true(frame->rows == expected->rows);
	assert_int_equal(frame->nvalues, expected->nvalues);
	assert_int_equal(frame->content_size, expected->content_size);
	if (expected->content_size > 0)
		assert_memory_equal(frame->content, expected->content, expected->content_size);
	assert_int_equal(frame->ncolumns, expected->ncolumns);
	assert_int_equal(frame->schema_size, expected->schema_size);
	assert_int_equal(frame->table_size, expected->table_size);
	assert_int_equal(frame->document_size, expected->document_size);
	if (expected->schema_size > 0)
		assert_memory_equal(frame->schema, expected->schema, expected->schema_size);
	if (expected->table_size > 0)
		assert_memory_equal(frame->table, expected->table, expected->table_size);
	if (expected->document_size > 0)
		assert_memory_equal(frame->document, expected->document, expected->document_size);
}

#define MOST_FRAMES 40

static void
random_messages_read_back(void **state)
{
	static char space[MOST_FRAMES][512];
	NaiveFrame	expected[MOST_FRAMES];

	for (int round = 0; round < 3000; round++)
	{
		int			nframes = (int) random_below(MOST_FRAMES + 1);
		NaiveReader reader;
		NaiveFrame	frame = {0};

		initStringInfo(&message);
		frames_header(&message);
		for (int i = 0; i < nframes; i++)
			append_random_frame(&message, &expected[i], space[i]);
		assert_true(naive_open(&reader, message.data, message.len));
		for (int i = 0; i < nframes; i++)
		{
			assert_int_equal(naive_next(&reader, &frame), NAIVE_FRAME);
			assert_same_frame(&frame, &expected[i]);
		}
		assert_int_equal(naive_next(&reader, &frame), NAIVE_END);
		pfree(message.data);
	}
}

/* A message that was cut is never taken for a whole one, except between two frames. */
static void
a_cut_message_is_malformed(void **state)
{
	FrameEvent	event = {.op = 'd', .key = {1, 3}};
	Transaction txn = {.lsn = 1};
	int			ends[4];

	initStringInfo(&message);
	frames_header(&message);
	ends[0] = message.len;
	frames_begin(&message, &txn);
	ends[1] = message.len;
	append_event(&message, &event, "{\"k\"}", 5);
	ends[2] = message.len;
	frames_commit(&message, &txn);
	ends[3] = message.len;

	for (int n = 0; n <= message.len; n++)
	{
		NaiveReader reader;
		NaiveFrame	frame = {0};
		NaiveResult result = NAIVE_MALFORMED;
		bool		whole = false;

		for (int i = 0; i < lengthof(ends); i++)
			whole = whole || n == ends[i];
		if (naive_open(&reader, message.data, n))
			while ((result = naive_next(&reader, &frame)) == NAIVE_FRAME)
				;
		assert_int_equal(result, whole ? NAIVE_END : NAIVE_MALFORMED);
	}
	pfree(message.data);
}

/* From a newer writer: unknown kinds are skipped, and bodies may be longer. */
static void
frames_of_unknown_kinds_are_skipped(void **state)
{
	static const unsigned char bytes[] = {
		'W', 'S', 2, 0,
		'X', 0xFF, 0, 0, 0, 0, 0, 3, 'a', 'b', 'c',
		0, 0, 0, 0, 0, 0, 0, 0,
		'C', 0, 0, 0, 0, 0, 0, 26,
		0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 'n', 'w'
	};
	NaiveReader reader;
	NaiveFrame	frame = {0};

	assert_true(naive_open(&reader, bytes, sizeof(bytes)));
	assert_int_equal(naive_next(&reader, &frame), NAIVE_FRAME);
	assert_int_equal(frame.kind, 'C');
	assert_int_equal(frame.events, 3);
	assert_int_equal(naive_next(&reader, &frame), NAIVE_END);
	assert_false(naive_open(&reader, "WS\1\0", 4));
	assert_false(naive_open(&reader, "WS\3\0", 4));
	assert_false(naive_open(&reader, "WX\2\0", 4));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_is_magic_and_version),
		cmocka_unit_test(prefix_is_what_the_frame_holds),
		cmocka_unit_test(begin_has_lsn_time_and_xid),
		cmocka_unit_test(begin_without_a_transaction_has_no_time),
		cmocka_unit_test(commit_has_both_lsns_and_the_count),
		cmocka_unit_test(relation_has_its_names_and_columns),
		cmocka_unit_test(event_has_its_header_before_the_document),
		cmocka_unit_test(event_has_its_objects_behind_the_document),
		cmocka_unit_test(mark_is_what_the_frame_holds),
		cmocka_unit_test(cursor_has_its_rows_and_values),
		cmocka_unit_test(event_has_its_members_behind_its_objects),
		cmocka_unit_test(event_tells_where_its_old_key_is),
		cmocka_unit_test(as_many_members_as_a_table_has_columns),
		cmocka_unit_test(event_has_objects_anywhere),
		cmocka_unit_test(event_without_anything_is_zeros),
		cmocka_unit_test(event_header_goes_where_the_message_has_moved_to),
		cmocka_unit_test(random_messages_read_back),
		cmocka_unit_test(a_cut_message_is_malformed),
		cmocka_unit_test(frames_of_unknown_kinds_are_skipped),
	};

	return cmocka_run_group_tests_name("frames", tests, NULL, NULL);
}
