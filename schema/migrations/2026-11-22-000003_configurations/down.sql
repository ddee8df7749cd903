ALTER TABLE partitions DROP COLUMN detectors;
DROP TABLE configs;
