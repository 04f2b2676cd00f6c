-- Old answers are found by their time: rows are added in about its order.
CREATE INDEX interleaved_answers_by_time ON interleaved_answers USING brin (served_at);
CREATE INDEX shadow_answers_by_time ON shadow_answers USING brin (served_at);
