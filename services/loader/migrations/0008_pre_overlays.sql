-- An overlay is a generation of some lists, made with the models of its base: it is read before the base, and is active only
-- as long as the base is.
ALTER TABLE generations
    ADD COLUMN kind text NOT NULL DEFAULT 'full' CHECK (kind IN ('full', 'incremental', 'vip')),
    ADD COLUMN base bigint,
    ADD COLUMN as_of timestamptz, -- the lists of an overlay know all events stored until then
    ADD CHECK ((kind = 'full') = (base IS NULL));
ALTER TABLE active ADD COLUMN overlay bigint REFERENCES generations;
ALTER TABLE activations ADD COLUMN overlays jsonb NOT NULL DEFAULT '{}';

CREATE OR REPLACE VIEW active_v1 AS
SELECT a.tenant, a.recipe, a.generation, a.activation, a.activated_at, a.overlay, g.as_of AS overlay_as_of
FROM active a LEFT JOIN generations g ON g.generation = a.overlay;
GRANT USAGE ON SCHEMA loader TO trainer;
GRANT SELECT ON lists_v1, active_v1 TO trainer;

CREATE OR REPLACE VIEW default_lists AS
SELECT a.recipe, l.id, products(l.items) AS products, r.engine_recipe, g.loaded_at
FROM active a
JOIN lists l ON l.generation IN (a.generation, a.overlay) AND l.recipe = a.recipe
JOIN generations g ON g.generation = l.generation
JOIN generation_recipes r ON r.generation = l.generation AND r.recipe = l.recipe
WHERE a.tenant = 'default'
  AND (l.generation = a.overlay OR a.overlay IS NULL OR NOT EXISTS (
      SELECT FROM lists newer WHERE newer.generation = a.overlay AND newer.recipe = l.recipe AND newer.id = l.id
  ));
