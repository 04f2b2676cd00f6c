-- Rows behind the last summary are read one by one by whoever asks for what was stored lately, so each range is
-- summarized once it is full, and not when a fifth of the table is new.
ALTER INDEX interactions_by_storing SET (autosummarize = on);
SELECT brin_summarize_new_values('interactions_by_storing');
