-- A constraint or an index as its entity says it, {"of", "kind", "columns", "name", "usual"}, found in the catalog: by its columns
-- and its name; without one by its columns alone, and, where several fit, by the name that PostgreSQL would have given it.
CREATE OR REPLACE FUNCTION migdsl.standing(declared jsonb)
RETURNS TABLE (class_id oid, object_id oid, index_id oid)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $body$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH wanted AS (
        SELECT (declared ->> 'of')::regclass::oid AS relation, declared ->> 'kind' AS kind, declared ->> 'name' AS name,
               ARRAY(SELECT c FROM jsonb_array_elements_text(declared -> 'columns') AS c ORDER BY c COLLATE "C") AS columns
    ), found AS (
        SELECT 'pg_constraint'::regclass::oid AS class_id, c.oid AS object_id,
               CASE c.contype WHEN 'u' THEN c.conindid END AS index_id, c.conname::text AS name
          FROM wanted AS w JOIN pg_constraint AS c ON c.conrelid = w.relation
         WHERE c.contype::text = CASE w.kind WHEN 'unique' THEN 'u' WHEN 'check' THEN 'c' WHEN 'reference' THEN 'f' END
           AND c.conname = coalesce(w.name, c.conname)
           AND w.columns COLLATE "C" = ARRAY(
               SELECT k.attname::text FROM pg_attribute AS k
                WHERE k.attrelid = c.conrelid AND k.attnum = ANY (c.conkey) ORDER BY k.attname::text COLLATE "C")
         UNION ALL
        -- A unique index with a condition or an expression is more than any unique, and no index that binds nobody.
        SELECT 'pg_class'::regclass::oid, i.indexrelid, i.indexrelid, x.relname::text
          FROM wanted AS w
          JOIN pg_index AS i ON i.indrelid = w.relation
          JOIN pg_class AS x ON x.oid = i.indexrelid
         WHERE CASE w.kind WHEN 'index' THEN NOT i.indisunique
                           WHEN 'unique index' THEN i.indisunique
                           WHEN 'unique' THEN i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL
                           ELSE FALSE END
           AND NOT EXISTS (SELECT FROM pg_constraint AS c
                            WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x'))
           AND x.relname = coalesce(w.name, x.relname)
           AND w.columns COLLATE "C" = ARRAY(
               SELECT k.attname::text FROM pg_attribute AS k
                WHERE k.attrelid = i.indrelid
                  AND k.attnum IN (SELECT d.refobjsubid FROM pg_depend AS d
                                    WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                                      AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid)
                ORDER BY k.attname::text COLLATE "C")
    )
    SELECT f.class_id, f.object_id, f.index_id FROM found AS f
     WHERE (SELECT count(*) FROM found) = 1 OR f.name = declared ->> 'usual';
END
$body$;
-- ;
-- DROP COLUMN takes indexes, constraints and statistics along without a word: what isn't expected is refused. `views` may wait:
-- one can read the column that takes the place of this one only when that is there.
CREATE OR REPLACE PROCEDURE migdsl.refuse_dependents(of_table text, of_column text, expected jsonb, views boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    dependents text;
BEGIN
    -- A view depends by way of its rule, of which nobody has heard.
    SELECT string_agg(DISTINCT coalesce(pg_describe_object('pg_class'::regclass, r.ev_class, 0),
                                        pg_describe_object(d.classid, d.objid, d.objsubid)), ', ') INTO dependents
      FROM pg_attribute AS a
      JOIN pg_depend AS d
        ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
      LEFT JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
     WHERE a.attrelid = of_table::regclass AND a.attname = of_column AND NOT a.attisdropped
       AND (views OR r.ev_class IS NULL OR r.ev_class = a.attrelid)
       AND NOT EXISTS (SELECT FROM pg_attrdef AS f
                        WHERE d.classid = 'pg_attrdef'::regclass
                          AND f.oid = d.objid AND f.adrelid = a.attrelid AND f.adnum = a.attnum)
       AND NOT EXISTS (SELECT FROM pg_constraint AS c
                        WHERE d.classid = 'pg_constraint'::regclass AND c.oid = d.objid AND c.contype = 'n')
       -- A generated column that goes too; from PostgreSQL 15 on its expression depends, before that the column.
       AND NOT EXISTS (SELECT FROM jsonb_array_elements(expected) AS e
                         JOIN pg_attribute AS g ON g.attrelid = a.attrelid AND g.attname = e ->> 'name'
                         LEFT JOIN pg_attrdef AS f ON f.adrelid = g.attrelid AND f.adnum = g.attnum
                        WHERE e ->> 'kind' = 'generated'
                          AND (d.classid, d.objid, d.objsubid) IN (('pg_class'::regclass, g.attrelid, g.attnum),
                                                                   ('pg_attrdef'::regclass, f.oid, 0)))
       AND NOT EXISTS (SELECT FROM jsonb_array_elements(expected) AS e CROSS JOIN LATERAL migdsl.standing(e) AS s
                        WHERE s.class_id = d.classid AND s.object_id = d.objid);
    IF dependents IS NOT NULL THEN
        RAISE EXCEPTION 'column % of % is still used by: %', of_column, of_table, dependents
            USING ERRCODE = '55000', HINT = 'drop or change what is named first (a view: CREATE OR REPLACE VIEW, without the column or'
                ' over the one that takes its place), or declare it in the entity under its name:'
                ' DROP COLUMN would take it along without a word';
    END IF;
END
$body$;
-- ;
-- What is dropped must be what the entity says, and nobody else's: neither foreign keys (but those excepted) nor, unless that
-- is to change, logical replication may go by it. Once it has gone, nobody is asked.
CREATE OR REPLACE PROCEDURE migdsl.refuse_needed(declared jsonb, excepted jsonb, identity_stays boolean, must_be boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    wanted record;
    needed text;
BEGIN
    SELECT s.object_id, s.index_id INTO wanted FROM migdsl.standing(declared) AS s;
    IF wanted.object_id IS NULL THEN
        IF must_be THEN
            RAISE EXCEPTION '% has no % % on the columns that its entity says', declared ->> 'of',
                CASE WHEN declared ->> 'kind' IN ('index', 'unique index') THEN declared ->> 'kind' ELSE 'constraint' END,
                declared ->> 'name'
                USING ERRCODE = '55000', HINT = coalesce((
                    SELECT 'there is: ' || string_agg(there.said, '; ')
                      FROM (SELECT pg_get_indexdef(i.indexrelid) AS said
                              FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid
                             WHERE i.indrelid = (declared ->> 'of')::regclass AND x.relname = declared ->> 'name'
                             UNION ALL
                            SELECT c.conname || ' ' || pg_get_constraintdef(c.oid) FROM pg_constraint AS c
                             WHERE c.conrelid = (declared ->> 'of')::regclass AND c.conname = declared ->> 'name') AS there
                    ), 'the entity says what is there before the migration') || '; migdsl check --against compares all of it';
        END IF;
        RETURN;
    END IF;
    SELECT string_agg(user_of.said, ', ') INTO needed
      FROM (SELECT pg_describe_object('pg_constraint'::regclass, f.oid, 0) AS said
              FROM pg_constraint AS f
             WHERE f.contype = 'f' AND f.conindid = wanted.index_id
               AND NOT EXISTS (SELECT FROM jsonb_array_elements(excepted) AS e CROSS JOIN LATERAL migdsl.standing(e) AS s
                                WHERE s.object_id = f.oid)
             UNION ALL
            SELECT 'logical replication, which tells rows apart by it'
              FROM pg_index AS i
             WHERE i.indexrelid = wanted.index_id AND i.indisreplident AND identity_stays) AS user_of;
    IF needed IS NOT NULL THEN
        RAISE EXCEPTION '% of % is still needed by: %', declared ->> 'name', declared ->> 'of', needed
            USING ERRCODE = '55000', HINT = 'drop or change what is named first';
    END IF;
END
$body$;
-- ;
-- A twin is made from what the entity says: where the old one is more than that, the rest would be lost.
CREATE OR REPLACE PROCEDURE migdsl.refuse_odd(declared jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    odd text;
BEGIN
    SELECT string_agg(part.said, ', ') INTO odd
      FROM migdsl.standing(declared) AS s
      JOIN pg_index AS i ON i.indexrelid = s.index_id
      JOIN pg_class AS x ON x.oid = i.indexrelid
     CROSS JOIN LATERAL (VALUES
           ('it has another order',
                i.indoption::text <> coalesce(declared ->> 'order', regexp_replace(i.indoption::text, '\d+', '0', 'g'))),
           ('it is for other rows', (i.indpred IS NOT NULL) <> coalesce((declared ->> 'partial')::boolean, FALSE)),
           ('it is computed', i.indexprs IS NOT NULL AND NOT coalesce((declared ->> 'computed')::boolean, FALSE)),
           ('it has another operator class', EXISTS (
               SELECT FROM unnest(i.indclass) WITH ORDINALITY AS o (id, place) JOIN pg_opclass AS p ON p.oid = o.id
                WHERE CASE WHEN declared -> 'operators' ->> (o.place - 1)::integer IS NULL THEN NOT p.opcdefault
                           ELSE p.opcname <> declared -> 'operators' ->> (o.place - 1)::integer END)),
           ('it has a collation', EXISTS (
               SELECT FROM pg_attribute AS k
                 JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k.attnum - 1]
                WHERE k.attrelid = i.indexrelid AND k.attnum <= i.indnkeyatts
                  AND i.indcollation[k.attnum - 1] <> a.attcollation)),
           ('it has options: ' || array_to_string(x.reloptions, ', '), x.reloptions IS NOT NULL),
           ('NULLs are not distinct in it', coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, FALSE)),
           ('it includes columns', declared ->> 'kind' = 'unique' AND i.indnatts > i.indnkeyatts)
           ) AS part (said, is_so)
     WHERE part.is_so;
    SELECT concat_ws(', ', odd, string_agg(part.said, ', ')) INTO odd
      FROM migdsl.standing(declared) AS s
      JOIN pg_constraint AS c ON s.class_id = 'pg_constraint'::regclass AND c.oid = s.object_id
     CROSS JOIN LATERAL (VALUES
           ('it is deferrable', c.condeferrable),
           ('it was never validated', NOT c.convalidated),
           ('it is not inherited', c.contype = 'c' AND c.connoinherit),
           ('it matches in full', c.contype = 'f' AND c.confmatchtype <> 's'),
           ('it says what happens on update', c.contype = 'f' AND c.confupdtype <> 'a'),
           ('it says something else of deletes', c.contype = 'f' AND c.confdeltype::text <> (declared ->> 'deletes'))
           ) AS part (said, is_so)
     WHERE part.is_so;
    IF odd <> '' THEN
        RAISE EXCEPTION '% of % is more than its entity says: %', coalesce(declared ->> 'name', declared ->> 'usual'), declared ->> 'of', odd
            USING ERRCODE = '55000', HINT = 'declare it as it is, where the language has words for that (migdsl import writes its line); '
                'else drop it in a migration of its own, and make it again when this one is done';
    END IF;
END
$body$;
-- ;
-- Keeps in the snapshot what makes a column again: type, collation, default or what it is generated from, comment, grants, how
-- it is stored and analysed.
CREATE OR REPLACE PROCEDURE migdsl.keep_column(of_migration text, subject text, of_table text, of_column text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    INSERT INTO migdsl.snapshot (migration, revision, seq, sql)
    -- What is generated comes back last, when all that it is computed from is there.
    SELECT of_migration, subject, a.attnum * 100 + part.seq + CASE a.attgenerated WHEN '' THEN 0 ELSE 1000000 END, part.sql
      FROM pg_attribute AS a
      JOIN pg_type AS y ON y.oid = a.atttypid
      LEFT JOIN pg_attrdef AS f ON f.adrelid = a.attrelid AND f.adnum = a.attnum AND a.attgenerated = ''
      LEFT JOIN pg_attrdef AS g ON g.adrelid = a.attrelid AND g.adnum = a.attnum AND a.attgenerated <> ''
      LEFT JOIN pg_collation AS l ON l.oid = a.attcollation AND l.oid <> y.typcollation
     CROSS JOIN LATERAL (VALUES
           (1, format('ALTER TABLE %s ADD COLUMN IF NOT EXISTS %I %s%s%s', a.attrelid::regclass, a.attname,
                      format_type(a.atttypid, a.atttypmod), ' COLLATE ' || l.oid::regcollation,
                      ' GENERATED ALWAYS AS (' || pg_get_expr(g.adbin, g.adrelid)
                      || CASE a.attgenerated WHEN 's' THEN ') STORED' ELSE ') VIRTUAL' END)),
           (2, format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT ', a.attrelid::regclass, a.attname)
               || pg_get_expr(f.adbin, f.adrelid)),
           (3, format('COMMENT ON COLUMN %s.%I IS ', a.attrelid::regclass, a.attname)
               || quote_literal(col_description(a.attrelid, a.attnum))),
           (4, (SELECT string_agg(format('GRANT %s (%I) ON %s TO %s%s', g.privilege_type, a.attname, a.attrelid::regclass,
                       CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END,
                       CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), '; ')
                  FROM aclexplode(a.attacl) AS g)),
           (5, CASE WHEN a.attstattarget >= 0 THEN format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s',
                      a.attrelid::regclass, a.attname, a.attstattarget) END),
           (6, CASE WHEN a.attstorage <> y.typstorage THEN format('ALTER TABLE %s ALTER COLUMN %I SET STORAGE %s',
                      a.attrelid::regclass, a.attname, CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL'
                      WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END) END),
           (7, CASE WHEN a.attcompression IN ('p', 'l') THEN format('ALTER TABLE %s ALTER COLUMN %I SET COMPRESSION %s',
                      a.attrelid::regclass, a.attname, CASE a.attcompression WHEN 'p' THEN 'pglz' ELSE 'lz4' END) END),
           (8, format('ALTER TABLE %s ALTER COLUMN %I SET (', a.attrelid::regclass, a.attname)
               || array_to_string(a.attoptions, ', ') || ')')) AS part (seq, sql)
     WHERE a.attrelid = of_table::regclass AND a.attname = of_column AND NOT a.attisdropped AND part.sql IS NOT NULL
        ON CONFLICT (migration, revision, seq) DO UPDATE SET sql = excluded.sql;
END
$body$;
-- ;
-- A column under a new name takes over what the file doesn't say of it.
CREATE OR REPLACE PROCEDURE migdsl.copy_column(of_table text, old_name text, new_name text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    ddl text;
BEGIN
    FOR ddl IN
        SELECT part.sql
          FROM pg_attribute AS a
          JOIN pg_type AS y ON y.oid = a.atttypid
          JOIN pg_attribute AS n ON n.attrelid = a.attrelid AND n.attname = new_name AND NOT n.attisdropped
         CROSS JOIN LATERAL (VALUES
               -- No row has a value yet, and no index is there: nothing is rewritten.
               (1, CASE WHEN a.attcollation <> n.attcollation THEN format('ALTER TABLE %s ALTER COLUMN %I TYPE %s COLLATE %s',
                        a.attrelid::regclass, n.attname, format_type(n.atttypid, n.atttypmod),
                        a.attcollation::regcollation) END),
               (2, CASE WHEN a.attstattarget >= 0 THEN format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s',
                        a.attrelid::regclass, n.attname, a.attstattarget) END),
               (3, CASE WHEN a.attstorage <> y.typstorage THEN format('ALTER TABLE %s ALTER COLUMN %I SET STORAGE %s',
                        a.attrelid::regclass, n.attname, CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL'
                        WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END) END),
               (4, CASE WHEN a.attcompression IN ('p', 'l') THEN format('ALTER TABLE %s ALTER COLUMN %I SET COMPRESSION %s',
                        a.attrelid::regclass, n.attname, CASE a.attcompression WHEN 'p' THEN 'pglz' ELSE 'lz4' END) END),
               (5, format('ALTER TABLE %s ALTER COLUMN %I SET (', a.attrelid::regclass, n.attname)
                   || array_to_string(a.attoptions, ', ') || ')'),
               (6, CASE WHEN col_description(n.attrelid, n.attnum) IS NULL THEN
                        format('COMMENT ON COLUMN %s.%I IS ', a.attrelid::regclass, n.attname)
                        || quote_literal(col_description(a.attrelid, a.attnum)) END),
               (7, (SELECT string_agg(format('GRANT %s (%I) ON %s TO %s%s', g.privilege_type, n.attname, a.attrelid::regclass,
                           CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END,
                           CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), '; ')
                      FROM aclexplode(a.attacl) AS g))) AS part (seq, sql)
         WHERE a.attrelid = of_table::regclass AND a.attname = old_name AND NOT a.attisdropped AND part.sql IS NOT NULL
         ORDER BY part.seq
    LOOP
        EXECUTE ddl;
    END LOOP;
END
$body$;
-- ;
-- Keeps in the snapshot what makes a constraint or an index again, in statements that hold no lock for long.
CREATE OR REPLACE PROCEDURE migdsl.keep(of_migration text, declared jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    subject text := CASE declared ->> 'kind' WHEN 'reference' THEN 'refer ' ELSE 'rebuild ' END || (declared ->> 'of');
    last bigint := (SELECT coalesce(max(k.seq), 0) FROM migdsl.snapshot AS k
                     WHERE k.migration = of_migration AND k.revision = subject);
BEGIN
    INSERT INTO migdsl.snapshot (migration, revision, seq, sql, before, undo)
    SELECT of_migration, subject, last + part.seq, part.sql, part.before, part.undo
      FROM migdsl.standing(declared) AS s
      JOIN pg_index AS i ON i.indexrelid = s.index_id
      JOIN pg_class AS x ON x.oid = i.indexrelid
      LEFT JOIN pg_constraint AS c ON s.class_id = 'pg_constraint'::regclass AND c.oid = s.object_id
     CROSS JOIN LATERAL (VALUES
           (1, regexp_replace(pg_get_indexdef(x.oid), '^CREATE (UNIQUE )?INDEX ', 'CREATE \1INDEX CONCURRENTLY '),
               format('DROP INDEX IF EXISTS %s', x.oid::regclass), format('DROP INDEX IF EXISTS %s', x.oid::regclass)),
           (2, CASE WHEN c.oid IS NOT NULL THEN format('ALTER TABLE %s ADD CONSTRAINT %I UNIQUE USING INDEX %I%s',
                    i.indrelid::regclass, c.conname, x.relname,
                    CASE WHEN c.condeferred THEN ' DEFERRABLE INITIALLY DEFERRED'
                         WHEN c.condeferrable THEN ' DEFERRABLE' ELSE '' END) END, NULL, NULL),
           (3, format('COMMENT ON INDEX %s IS ', x.oid::regclass) || quote_literal(obj_description(x.oid, 'pg_class')),
               NULL, NULL),
           (4, (SELECT string_agg(format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS %s', x.oid::regclass, k.attnum,
                                         k.attstattarget), '; ' ORDER BY k.attnum)
                  FROM pg_attribute AS k WHERE k.attrelid = x.oid AND k.attstattarget >= 0), NULL, NULL),
           (5, CASE WHEN i.indisreplident THEN format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I',
                    i.indrelid::regclass, x.relname) END, NULL, NULL),
           (6, CASE WHEN i.indisclustered THEN format('ALTER TABLE %s CLUSTER ON %I',
                    i.indrelid::regclass, x.relname) END, NULL, NULL)) AS part (seq, sql, before, undo)
     WHERE part.sql IS NOT NULL;
    INSERT INTO migdsl.snapshot (migration, revision, seq, sql, before, undo)
    SELECT of_migration, subject, last + 10 + part.seq, part.sql, part.before, part.undo
      FROM migdsl.standing(declared) AS s
      JOIN pg_constraint AS c ON s.class_id = 'pg_constraint'::regclass AND c.oid = s.object_id
     CROSS JOIN LATERAL (SELECT format('ALTER TABLE %s ADD CONSTRAINT %I ', c.conrelid::regclass, c.conname)
                                || pg_get_constraintdef(c.oid) AS adds,
                                format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', c.conrelid::regclass, c.conname) AS drops,
                                c.convalidated AND pg_get_constraintdef(c.oid) NOT LIKE '%NOT ENFORCED' AS proven) AS k
     CROSS JOIN LATERAL (VALUES
           (1, CASE WHEN c.contype = 'u' THEN NULL
                    WHEN k.proven THEN format('ALTER TABLE %s VALIDATE CONSTRAINT %I', c.conrelid::regclass, c.conname)
                    ELSE k.adds END,
               CASE WHEN k.proven THEN k.drops || '; ' || k.adds || ' NOT VALID' END,
               CASE WHEN k.proven THEN k.drops END),
           (2, format('COMMENT ON CONSTRAINT %I ON %s IS ', c.conname, c.conrelid::regclass)
               || quote_literal(obj_description(c.oid, 'pg_constraint')), NULL, NULL)) AS part (seq, sql, before, undo)
     WHERE part.sql IS NOT NULL;
END
$body$;
-- ;
-- Comments, and how expressions are analysed, are said of a twin too.
CREATE OR REPLACE PROCEDURE migdsl.carry_over(declared jsonb, twin text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    relation regclass := (declared ->> 'of')::regclass;
    space text := (SELECT n.nspname FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace WHERE t.oid = relation);
    ddl text;
BEGIN
    FOR ddl IN
        SELECT part.sql
          FROM migdsl.standing(declared) AS s
         CROSS JOIN LATERAL (VALUES
               (format('COMMENT ON INDEX %I.%I IS ', space, twin) || quote_literal(obj_description(s.index_id, 'pg_class'))),
               (CASE WHEN s.class_id = 'pg_constraint'::regclass THEN
                     format('COMMENT ON CONSTRAINT %I ON %s IS ', twin, relation)
                     || quote_literal(obj_description(s.object_id, 'pg_constraint')) END),
               ((SELECT string_agg(format('ALTER INDEX %I.%I ALTER COLUMN %s SET STATISTICS %s', space, twin, k.attnum,
                                          k.attstattarget), '; ' ORDER BY k.attnum)
                   FROM pg_attribute AS k WHERE k.attrelid = s.index_id AND k.attstattarget >= 0))) AS part (sql)
         WHERE part.sql IS NOT NULL
    LOOP
        EXECUTE ddl;
    END LOOP;
END
$body$;
-- ;
-- Logical replication and CLUSTER go on by the twin, before the old one is gone.
CREATE OR REPLACE PROCEDURE migdsl.hand_over(declared jsonb, twin text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    old record;
    ddl text;
BEGIN
    SELECT i.indrelid::regclass AS relation, i.indisreplident, i.indisclustered INTO old
      FROM migdsl.standing(declared) AS s JOIN pg_index AS i ON i.indexrelid = s.index_id;
    IF old.indisreplident THEN
        ddl := format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', old.relation, twin);
        EXECUTE ddl;
    END IF;
    IF old.indisclustered THEN
        ddl := format('ALTER TABLE %s CLUSTER ON %I', old.relation, twin);
        EXECUTE ddl;
    END IF;
END
$body$;
-- ;
-- Only where the one name is taken and the other free: run again after a kill, both may be there.
CREATE OR REPLACE PROCEDURE migdsl.rename_standing(of_table text, is_index boolean, old_name text, new_name text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    relation regclass := of_table::regclass;
    space text := (SELECT n.nspname FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace WHERE t.oid = relation);
    names text[];
    ddl text;
BEGIN
    IF is_index THEN
        names := ARRAY(SELECT x.relname::text FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid
                        WHERE i.indrelid = relation);
    ELSE
        names := ARRAY(SELECT c.conname::text FROM pg_constraint AS c WHERE c.conrelid = relation);
    END IF;
    IF NOT old_name = ANY (names) OR new_name = ANY (names) THEN
        RETURN;
    END IF;
    IF is_index THEN
        ddl := format('ALTER INDEX %I.%I RENAME TO %I', space, old_name, new_name);
        EXECUTE ddl;
    ELSE
        ddl := format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', relation, old_name, new_name);
        EXECUTE ddl;
    END IF;
END
$body$;
