-- Who changes orders, one row for each transaction. The application says who: SET LOCAL shop.who = 'anna'.
CREATE TABLE changes (id bigint PRIMARY KEY DEFAULT txid_current(), who text NOT NULL, why text);

CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO public.changes (who, why)
    VALUES (coalesce(nullif(current_setting('shop.who', true), ''), session_user),
            nullif(current_setting('shop.why', true), ''))
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON orders
FOR EACH STATEMENT EXECUTE FUNCTION note_change();
