DROP TABLE heard_labels;
ALTER TABLE labels DROP COLUMN announced;
