/*
 * nested.c
 *		Encoders of types that hold values: arrays, composites, jsonb.
 *
 * They walk the stored form and allocate nothing. A part that cannot be
 * rendered makes the whole value one: half an array would be a lie.
 */
#include "postgres.h"

#include "nested.h"

#include "access/htup_details.h"
#include "access/tupmacs.h"
#include "catalog/pg_type.h"
#include "format.h"
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
	const bits8 *nulls;			/* NULL if no element is */
	int			item;			/* number of the next element */
} Walk;

static bool
encode_element(Out *o, Walk *w)
{
	const Encoder *e = w->element;
	int			item = w->item++;
	const char *at;

	/* scalars reserve their room without asking: ask for them */
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
	Walk		w = {.element = elements->encoder};

	if (array == NULL || stack_is_too_deep())
		return false;
	if (ARR_NDIM(array) == 0)
	{
		append_literal(o, "[]");
		return true;
	}
	if (unlikely(ARR_ELEMTYPE(array) != elements->type))
	{
		/* cannot be, but an array says itself what is in it */
		w.element = types_encoder(ARR_ELEMTYPE(array));
	}
	w.p = ARR_DATA_PTR(array);
	w.nulls = ARR_NULLBITMAP(array);
	return encode_dimension(o, &w, ARR_DIMS(array), ARR_NDIM(array));
}

/* The fields' values are in c->values; NULLs are printed. */
static bool
encode_fields(Out *o, const Composite *c)
{
	Size		begin = out_tell(o);

	for (int i = 0; i < c->nfields; i++)
	{
		const Field *f = &c->fields[i];

		if (!out_room(o, f->label_size + FORMAT_WIDTH))
			return false;
		put(o, f->label, f->label_size);
		if (c->nulls[f->index])
			put_literal(o, "null");
		else if (!f->encoder->encode(o, f->encoder, c->values[f->index]))
			return false;
	}
	close_object(o, begin);
	return true;
}

bool
encode_composite(Out *o, const Encoder *e, Datum value)
{
	AlignedScratch scratch;
	HeapTupleHeader header = (HeapTupleHeader) varlena_aligned(value, &scratch);
	const Composite *c = e->detail;
	HeapTupleData tuple = {0};

	if (header == NULL || stack_is_too_deep())
		return false;
	if (unlikely(HeapTupleHeaderGetTypeId(header) != e->type))
	{
		/* cannot be, but a tuple says itself what it is */
		e = types_encoder(HeapTupleHeaderGetTypeId(header));
		if (e->encode != encode_composite)
			return false;
		c = e->detail;
	}
	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	tuple.t_data = header;
	heap_deform_tuple(&tuple, c->desc, c->values, c->nulls);
	return encode_fields(o, c);
}

static bool encode_container(Out *o, JsonbContainer *c);

/* The value of entry je, whose bytes begin at offset in base. */
static bool
encode_jsonb_entry(Out *o, JEntry je, char *base, uint32 offset, uint32 length)
{
	if (JBE_ISSTRING(je))
		return text_string(o, base + offset, length);
	if (JBE_ISNUMERIC(je))
	{
		/* padding for alignment is part of the entry */
		struct varlena *numeric = (struct varlena *) (base + INTALIGN(offset));

		if (!out_room(o, numeric_room(VARDATA_ANY(numeric), VARSIZE_ANY_EXHDR(numeric))))
			return false;
		o->p = format_numeric(o->p, VARDATA_ANY(numeric), VARSIZE_ANY_EXHDR(numeric));
		return true;
	}
	if (JBE_ISCONTAINER(je))
		return encode_container(o, (JsonbContainer *) (base + INTALIGN(offset)));
	if (!out_room(o, 5))
		return false;
	if (JBE_ISNULL(je))
		put_literal(o, "null");
	else if (JBE_ISBOOL_TRUE(je))
		put_literal(o, "true");
	else
		put_literal(o, "false");
	return true;
}

/* The length of entry je that begins at offset, which moves to its end. */
static inline uint32
next_entry(JEntry je, uint32 *offset)
{
	uint32		begin = *offset;

	JBE_ADVANCE_OFFSET(*offset, je);
	return *offset - begin;
}

static bool
encode_object(Out *o, JsonbContainer *c, uint32 count)
{
	char	   *base = (char *) &c->children[count * 2];
	uint32		key_end = 0;
	uint32		value_end = getJsonbOffset(c, count);

	append_literal(o, "{");
	for (uint32 i = 0; i < count; i++)
	{
		uint32		key = key_end;
		uint32		value = value_end;
		uint32		key_length = next_entry(c->children[i], &key_end);
		uint32		value_length = next_entry(c->children[count + i], &value_end);

		if (i > 0)
			append_literal(o, ", ");
		if (!text_string(o, base + key, key_length))
			return false;
		append_literal(o, ": ");
		if (!encode_jsonb_entry(o, c->children[count + i], base, value, value_length))
			return false;
	}
	append_literal(o, "}");
	return true;
}

static bool
encode_elements(Out *o, JsonbContainer *c, uint32 count)
{
	char	   *base = (char *) &c->children[count];
	uint32		end = 0;

	if (!JsonContainerIsScalar(c))
		append_literal(o, "[");
	for (uint32 i = 0; i < count; i++)
	{
		uint32		begin = end;
		uint32		length = next_entry(c->children[i], &end);

		if (i > 0)
			append_literal(o, ", ");
		if (!encode_jsonb_entry(o, c->children[i], base, begin, length))
			return false;
	}
	if (!JsonContainerIsScalar(c))
		append_literal(o, "]");
	return true;
}

static bool
encode_container(Out *o, JsonbContainer *c)
{
	if (stack_is_too_deep() || !out_room(o, FORMAT_WIDTH))
		return false;
	return JsonContainerIsObject(c) ? encode_object(o, c, JsonContainerSize(c)) :
		encode_elements(o, c, JsonContainerSize(c));
}

bool
encode_jsonb(Out *o, const Encoder *e, Datum value)
{
	AlignedScratch scratch;
	struct varlena *v = varlena_aligned(value, &scratch);

	return v != NULL && encode_container(o, (JsonbContainer *) VARDATA(v));
}
