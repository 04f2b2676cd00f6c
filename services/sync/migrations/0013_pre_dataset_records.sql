-- The newest record of a dataset that was put about an item or a user, and what the shop's own sources say beside it; none
-- where nothing was put. The other columns hold both, merged, and `times` is of what the shop's own sources said.
ALTER TABLE items ADD COLUMN record jsonb;
ALTER TABLE users ADD COLUMN record jsonb;
