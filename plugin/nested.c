/*
 * nested.c
 *		Encoders of types that hold values: arrays, composites, jsonb.
 *
 * They walk the stored form and allocate nothing. If a part cannot be
 * rendered, neither can the whole value: half an array would be wrong.
 */
#include "postgres.h"

#include "nested.h"

#include "access/htup_details.h"
#include "access/tupmacs.h"
#include "catalog/pg_type.h"
#include "format.h"
#include "guard.h"
#include "miscadmin.h"
#include "text.h"
#include "types.h"
#include "utils/array.h"
#include "utils/jsonb.h"
#include "values.h"

/* Where a walk over an array's elements is. */
typedef struct Walk
{
	const Encoder *element;
	const char *p;				/* the next element that is not NULL */
	const uint8 *nulls;			/* NULL if no element is NULL */
	int			item;			/* number of the next element */
} Walk;

static bool
encode_element(Out *o, Walk *w)
{
	const Encoder *e = w->element;
	int			item = w->item++;
	const char *at;

	/* scalars write into reserved room without a check: reserve it here */
	if (!out_room(o, FORMAT_WIDTH))
		return false;
	if (w->nulls != NULL && att_isnull(item, w->nulls))
	{
		put_literal(o, "null");
		return true;
	}
	at = (const char *) att_align_pointer(w->p, e->typalign, e->typlen, w->p);
	w->p = att_addlength_pointer(at, e->typlen, at);
	return e->encode(o, e, fetch_att(at, e->typbyval, e->typlen));
}

static bool
encode_dimension(Out *o, Walk *w, const int *dims, int ndim)
{
	append_literal(o, "[");
	for (int i = 0; i < dims[0]; i++)
	{
		if (i > 0)
			append_literal(o, ",");
		if (ndim > 1 ? !encode_dimension(o, w, dims + 1, ndim - 1) : !encode_element(o, w))
			return false;
	}
	append_literal(o, "]");
	return true;
}

bool
encode_array(Out *o, const Encoder *e, Datum value)
{
	AlignedScratch scratch;
	ArrayType  *array = (ArrayType *) varlena_aligned(value, &scratch);
	const Elements *elements = e->detail;
	Nest		nest;
	Walk		w = {.element = elements->encoder};
	EncoderSet	made = {0};

	if (unlikely(array == NULL))
		return encode_toasted(o, e, value);
	if (stack_is_too_deep())
		return false;
	nest = nest_enter(o, Max(ARR_NDIM(array), 1));
	if (ARR_NDIM(array) == 0)
	{
		append_literal(o, "[]");
		return nest_leave(o, &nest, true);
	}
	if (unlikely(ARR_ELEMTYPE(array) != elements->type))
	{
		/* should not happen, but an array names its own element type */
		w.element = types_encoder(ARR_ELEMTYPE(array), &made);
	}
	w.p = ARR_DATA_PTR(array);
	w.nulls = ARR_NULLBITMAP(array);
	return nest_leave(o, &nest, encode_dimension(o, &w, ARR_DIMS(array), ARR_NDIM(array)));
}

/* The fields' values are in c->values; NULLs are printed. */
static bool
encode_fields(Out *o, const Composite *c)
{
	Size		begin = out_tell(o);

	for (int i = 0; i < c->nfields; i++)
	{
		const Field *f = &c->fields[i];

		if (!out_room(o, LABEL_ROOM(f->label_size) + FORMAT_WIDTH))
			return false;
		put_label(o, f->label, f->label_size);
		if (c->nulls[f->index])
			put_literal(o, "null");
		else if (!f->encoder->encode(o, f->encoder, c->values[f->index]))
			return false;
	}
	close_object(o, begin);
	return true;
}

/*
 * Newer minor releases store the version of its type in a composite value, and
 * mark that in the offset of ctid. There heap_deform_tuple() raises if ALTER
 * TYPE made the type incompatible with the value. ALTER TYPE rejects that
 * while a column has the type. But a value that a variable held meanwhile, in
 * an array, can still get into a table.
 */
#define MARKS_VERSION 0xfffc

/* The type's version that a tuple was made with; 0: not stored. */
static uint64
version_of(HeapTupleHeader header)
{
	if (ItemPointerGetOffsetNumberNoCheck(&header->t_ctid) != MARKS_VERSION)
		return 0;
	return (uint64) ItemPointerGetBlockNumberNoCheck(&header->t_ctid) << 32 |
		(uint32) header->t_choice.t_datum.datum_typmod;
}

typedef struct Deforming
{
	HeapTuple	tuple;
	const Composite *c;
} Deforming;

static void
deform(void *arg)
{
	Deforming  *d = arg;

	heap_deform_tuple(d->tuple, d->c->desc, d->c->values, d->c->nulls);
}

/* False if the server says that the tuple does not fit its type. */
static bool
deformed(HeapTuple tuple, const Composite *c)
{
	uint64		version = version_of(tuple->t_data);
	Deforming	d = {tuple, c};

	/* if one value of a version fits, all of that version do */
	if (likely(version == *c->version || version == 0))
	{
		deform(&d);
		return true;
	}
	if (!guarded(GUARD_BUILTIN, deform, &d))
		return false;
	*c->version = version;
	return true;
}

bool
encode_composite(Out *o, const Encoder *e, Datum value)
{
	AlignedScratch scratch;
	HeapTupleHeader header = (HeapTupleHeader) varlena_aligned(value, &scratch);
	const Composite *c = e->detail;
	HeapTupleData tuple = {0};
	Nest		nest;
	EncoderSet	made = {0};

	if (unlikely(header == NULL))
		return encode_toasted(o, e, value);
	if (stack_is_too_deep())
		return false;
	if (unlikely(HeapTupleHeaderGetTypeId(header) != e->type))
	{
		/* should not happen, but a tuple names its own type */
		e = types_encoder(HeapTupleHeaderGetTypeId(header), &made);
		if ((e->whole ? e->whole : e->encode) != encode_composite)
			return false;
		c = e->detail;
	}
	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	tuple.t_data = header;
	if (!deformed(&tuple, c))
		return false;
	nest = nest_enter(o, 1);
	return nest_leave(o, &nest, encode_fields(o, c));
}

/* A scalar in jsonb: entry je, length bytes from offset on in base. */
static bool
encode_jsonb_scalar(Out *o, JEntry je, const char *base, uint32 offset, uint32 length)
{
	if (JBE_ISSTRING(je))
		return text_string(o, base + offset, length);
	if (JBE_ISNUMERIC(je))
	{
		/* padding for alignment is part of the entry */
		const char *numeric = base + INTALIGN(offset);

		Size		begin = out_tell(o);

		if (!out_room(o, numeric_room(VARDATA_ANY(numeric), VARSIZE_ANY_EXHDR(numeric))))
			return false;
		o->p = format_numeric(o->p, VARDATA_ANY(numeric), VARSIZE_ANY_EXHDR(numeric));
		if (unlikely(protects_numbers))
			protect_number(o, begin);
		return true;
	}
	if (JBE_ISNULL(je))
		append_literal(o, "null");
	else if (JBE_ISBOOL_TRUE(je))
		append_literal(o, "true");
	else
		append_literal(o, "false");
	return true;
}

/* An array or object of a jsonb value that is being written. */
typedef struct Level
{
	const JsonbContainer *c;
	const char *base;			/* where offsets count from */
	uint32		count;			/* of elements or members */
	uint32		next;			/* the next one to write */
	uint32		key_end;		/* offsets of where the last ones ended */
	uint32		value_end;
} Level;

/*
 * jsonb may nest as deep as the stack of the session that stored it. Levels
 * are kept here, without recursion, so that any value can be printed.
 */
typedef struct Levels
{
	Level	   *levels;
	int			depth;
	int			deepest;		/* greatest depth so far, without scalars */
	int			room;
	Level		first[16];
} Levels;

static void
enter_container(Out *o, Levels *l, const JsonbContainer *c)
{
	Level	   *level;

	if (l->depth == l->room)
	{
		Level	   *larger = palloc(sizeof(Level) * l->room * 2);

		memcpy(larger, l->levels, sizeof(Level) * l->room);
		if (l->levels != l->first)
			pfree(l->levels);
		l->levels = larger;
		l->room *= 2;
	}
	level = &l->levels[l->depth++];
	level->c = c;
	level->count = JsonContainerSize(c);
	level->next = 0;
	level->key_end = level->value_end = 0;
	if (JsonContainerIsObject(c))
	{
		level->base = (const char *) &c->children[level->count * 2];
		level->value_end = getJsonbOffset(c, level->count);
		append_literal(o, "{");
	}
	else
	{
		level->base = (const char *) &c->children[level->count];
		if (JsonContainerIsScalar(c))
			return;
		append_literal(o, "[");
	}
	l->deepest = Max(l->deepest, l->depth);
}

static void
leave_container(Out *o, Levels *l)
{
	const JsonbContainer *c = l->levels[--l->depth].c;

	if (JsonContainerIsObject(c))
		append_literal(o, "}");
	else if (!JsonContainerIsScalar(c))
		append_literal(o, "]");
}

/* The length of entry je that begins at *offset. Moves *offset to the entry's end. */
static inline uint32
next_entry(JEntry je, uint32 *offset)
{
	uint32		begin = *offset;

	JBE_ADVANCE_OFFSET(*offset, je);
	return *offset - begin;
}

/* Write the level's next element or member; only enter a container. */
static bool
encode_next(Out *o, Levels *l, Level *level)
{
	uint32		i = level->next++;
	const JEntry *entry = &level->c->children[i];
	uint32		begin;
	uint32		length;

	if (!out_room(o, FORMAT_WIDTH))
		return false;
	if (i > 0)
		put_literal(o, ", ");
	if (JsonContainerIsObject(level->c))
	{
		begin = level->key_end;
		length = next_entry(*entry, &level->key_end);
		if (!text_string(o, level->base + begin, length))
			return false;
		append_literal(o, ": ");
		entry += level->count;
	}
	begin = level->value_end;
	length = next_entry(*entry, &level->value_end);
	if (!JBE_ISCONTAINER(*entry))
		return encode_jsonb_scalar(o, *entry, level->base, begin, length);
	enter_container(o, l, (const JsonbContainer *) (level->base + INTALIGN(begin)));
	return true;
}

bool
encode_jsonb(Out *o, const Encoder *e, Datum value)
{
	AlignedScratch scratch;
	struct varlena *v = varlena_aligned(value, &scratch);
	Size		begin = out_tell(o);
	bool		done = true;
	Levels		l;

	if (unlikely(v == NULL))
		return encode_toasted(o, e, value);
	l.levels = l.first;
	l.depth = l.deepest = 0;
	l.room = lengthof(l.first);
	enter_container(o, &l, (const JsonbContainer *) VARDATA(v));
	while (l.depth > 0 && done)
	{
		Level	   *level = &l.levels[l.depth - 1];

		if (level->next == level->count)
			leave_container(o, &l);
		else
			done = encode_next(o, &l, level);
	}
	if (unlikely(l.levels != l.first))
		pfree(l.levels);
	return done && (likely(l.deepest <= nest_levels_left(o)) || json_quote(o, begin));
}
