-- What was taken away on purpose, so that the ledger can still be proven against what is left. Always written in the transaction that
-- takes it away. expired_poison, expired_late: those of the expired rows that were not scored. dropped_letters: dead letters that an
-- operator deleted.
ALTER TABLE partitions
    ADD COLUMN expired_poison  bigint NOT NULL DEFAULT 0,
    ADD COLUMN expired_late    bigint NOT NULL DEFAULT 0,
    ADD COLUMN dropped_letters bigint NOT NULL DEFAULT 0;

-- stored: rows that stand in readings now. letters_kept: those in dead_letters.
CREATE OR REPLACE VIEW ledger AS
SELECT id AS partition, delivered, scored, poison, late, duplicates, dead_letters,
       delivered - scored - poison - late - duplicates - dead_letters AS unaccounted,
       scored + poison + late - expired AS stored, expired, dead_letters - dropped_letters AS letters_kept
FROM partitions;
