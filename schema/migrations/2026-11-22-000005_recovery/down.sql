DROP VIEW ledger;
CREATE VIEW ledger AS
SELECT id AS partition, delivered, scored, poison, late, duplicates, dead_letters,
       delivered - scored - poison - late - duplicates - dead_letters AS unaccounted
FROM partitions;
ALTER TABLE dead_letters DROP COLUMN replayed;
DROP TABLE log_losses;
DROP TABLE verdicts;
ALTER TABLE partitions DROP COLUMN algorithm, DROP COLUMN clean, DROP COLUMN expired;
