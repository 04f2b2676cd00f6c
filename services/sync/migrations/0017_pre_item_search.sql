-- Lists of items are searched by the beginnings of the words of names and categories.
CREATE INDEX items_by_word ON items
    USING gin (to_tsvector('simple', coalesce(name, '') || ' ' || coalesce(category, '')));
