//! What finds names by three characters in a row. Certificates are noted as they come, whoever writes them, and put into lots
//! behind the writes. Those that were there before are noted bit by bit: `counters` says up to which id they still have to be.

/// One statement each, as in the first migration.
pub(super) const STATEMENTS: &[&str] = &[
    r"CREATE TABLE certificates_unindexed (
        certificate_id {i64} NOT NULL PRIMARY KEY
    )",
    r"CREATE TABLE certificate_lots (
        id {id},
        certificates {i64} NOT NULL,
        newest_id {i64} NOT NULL
    )",
    r"CREATE TABLE certificate_grams (
        bucket INTEGER NOT NULL,
        lot_id {i64} NOT NULL,
        postings {bytes} NOT NULL,
        PRIMARY KEY (bucket, lot_id)
    )",
    r"{sqlite}CREATE TRIGGER certificates_are_noted AFTER INSERT ON certificates BEGIN
        INSERT INTO certificates_unindexed (certificate_id) VALUES (NEW.id);
    END",
    r"{postgres}CREATE FUNCTION note_certificate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO certificates_unindexed (certificate_id) VALUES (NEW.id);
        RETURN NULL;
    END $$",
    r"{postgres}CREATE TRIGGER certificates_are_noted AFTER INSERT ON certificates
        FOR EACH ROW EXECUTE FUNCTION note_certificate()",
    r"INSERT INTO counters (name, shard, value)
        SELECT 'certificates to be noted', 0, MAX(id) FROM certificates HAVING MAX(id) IS NOT NULL",
];
