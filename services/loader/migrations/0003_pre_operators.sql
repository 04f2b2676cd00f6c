-- What is recommended now, for people with SQL: read-only views over the tenant `default`.

CREATE FUNCTION products(items jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(
        jsonb_agg(jsonb_build_object('product_id', item -> 0, 'score', item -> 1) ORDER BY place), '[]'
    )
    FROM jsonb_array_elements(items) WITH ORDINALITY AS listed (item, place)
$$;
COMMENT ON FUNCTION products IS '[[id, score], ...] as [{product_id, score}, ...], best first';

CREATE VIEW default_lists AS
SELECT a.recipe, l.id, products(l.items) AS products, r.engine_recipe, g.loaded_at
FROM active a
JOIN generations g ON g.generation = a.generation
JOIN generation_recipes r ON r.generation = a.generation AND r.recipe = a.recipe
JOIN lists l ON l.generation = a.generation AND l.recipe = a.recipe
WHERE a.tenant = 'default';

CREATE VIEW offline_user_recommendations AS
SELECT id AS user_id, products AS recommendations, engine_recipe AS recipe_name, loaded_at AS updated_at
FROM default_lists WHERE recipe = 'user-personalization';

CREATE VIEW offline_similar_items AS
SELECT id AS product_id, products AS similar_products, engine_recipe AS recipe_name,
       loaded_at AS updated_at
FROM default_lists WHERE recipe = 'similar-items';

CREATE VIEW offline_item_affinity AS
SELECT id AS user_id, products AS item_affinities, engine_recipe AS recipe_name, loaded_at AS updated_at
FROM default_lists WHERE recipe = 'item-affinity';

CREATE VIEW batch_job_metadata AS
SELECT r.generation || '/' || r.recipe AS job_id, r.job_name, r.job_arn, r.engine_recipe AS recipe_name,
       g.status, r.started_at, r.completed_at
FROM generation_recipes r JOIN generations g USING (generation)
WHERE g.tenant = 'default';

-- Roles belong to the cluster, so the administrator makes this one; it can't log in by itself.
-- GRANT endcap_operator TO alice;  lets alice read these views and nothing else.
RESET ROLE;
DO $$ BEGIN
    CREATE ROLE endcap_operator NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
-- The same views where psql looks without being told.
CREATE VIEW public.offline_user_recommendations AS TABLE loader.offline_user_recommendations;
CREATE VIEW public.offline_similar_items AS TABLE loader.offline_similar_items;
CREATE VIEW public.offline_item_affinity AS TABLE loader.offline_item_affinity;
CREATE VIEW public.batch_job_metadata AS TABLE loader.batch_job_metadata;
GRANT SELECT ON public.offline_user_recommendations, public.offline_similar_items,
    public.offline_item_affinity, public.batch_job_metadata TO endcap_operator;
SET ROLE loader;

GRANT USAGE ON SCHEMA loader TO endcap_operator;
GRANT SELECT ON offline_user_recommendations, offline_similar_items, offline_item_affinity,
    batch_job_metadata TO endcap_operator;
