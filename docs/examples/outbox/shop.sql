-- The extension has walspout.emit(). A publication without tables: the stream has messages only.
CREATE EXTENSION IF NOT EXISTS walspout;
CREATE PUBLICATION outbox;
