DROP VIEW ledger;
CREATE VIEW ledger AS
SELECT id AS partition, delivered, scored, poison, late, duplicates, dead_letters,
       delivered - scored - poison - late - duplicates - dead_letters AS unaccounted,
       scored + poison + late - expired AS stored, expired
FROM partitions;
ALTER TABLE partitions DROP COLUMN dropped_letters, DROP COLUMN expired_late, DROP COLUMN expired_poison;
