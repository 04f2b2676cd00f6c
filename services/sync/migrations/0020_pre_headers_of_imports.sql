-- The header of a file, with which its rejected rows are a file to mend and send again.
ALTER TABLE imports ADD COLUMN header text;
