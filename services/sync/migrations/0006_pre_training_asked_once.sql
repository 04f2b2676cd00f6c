-- Of the imports of a tenant that come together the last one asks for training, for all that changed something.
ALTER TABLE imports ADD COLUMN training_wanted boolean NOT NULL DEFAULT false;
