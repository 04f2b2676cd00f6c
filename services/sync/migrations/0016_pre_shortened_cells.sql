-- How many cells of a column were cut, because no property holds so much.
ALTER TABLE imports ADD COLUMN shortened jsonb NOT NULL DEFAULT '{}';
