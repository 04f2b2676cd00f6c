-- A schedule itself has the time that is due next.
DROP TABLE scheduled;
