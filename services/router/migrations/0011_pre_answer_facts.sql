-- How the first answer to a unit came about: its time, whether popular items stood in for those of the variant's strategy,
-- and the device of the visitor.
ALTER TABLE exposed_units
    ADD COLUMN milliseconds double precision,
    ADD COLUMN fallback boolean,
    ADD COLUMN device text;
