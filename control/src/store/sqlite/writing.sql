-- What the writer's connection writes to: one row for each line of the ledger, with what the line does to
-- the other tables. It is gone with the connection.
CREATE TEMP VIEW writing (
    seq, body, digest, revision, change, session, principal, target, grant_id, opened, ending, recovered
) AS SELECT 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 WHERE false;

CREATE TEMP TRIGGER write INSTEAD OF INSERT ON writing
BEGIN
    INSERT INTO log (revision, body)
    SELECT NEW.revision, NEW.change WHERE NEW.revision IS NOT NULL;

    INSERT INTO ledger (seq, body, digest) VALUES (NEW.seq, NEW.body, NEW.digest);

    INSERT OR IGNORE INTO sessions (id, principal, target, grant_id, body)
    SELECT NEW.session, NEW.principal, NEW.target, NEW.grant_id, NEW.opened
    WHERE NEW.opened IS NOT NULL;

    UPDATE sessions SET ending = NEW.ending
    WHERE NEW.ending IS NOT NULL AND id = NEW.session AND ending IS NULL;

    -- What somebody wrote there that is no JSON must not make the line one that is refused.
    UPDATE sessions
    SET ending = json_set(ending, '$.recording', json_object('is', 'cut_short', 'root', NEW.recovered))
    WHERE NEW.recovered IS NOT NULL AND id = NEW.session AND json_valid(ending);
END;
