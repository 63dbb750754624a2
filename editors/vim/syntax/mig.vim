" Made by tools/refresh_editors.py from grammar/: change those, not this file.
if exists("b:current_syntax")
  finish
endif

syn include @migSQL syntax/sql.vim
unlet! b:current_syntax
syn match migOperator /\v-\>|\.\.|[<>!]\=|[<>=?-]/
syn match migNumber /\v<\d{4}-\d\d-\d\d>|<\d[0-9_]*%(\.\d+)?%(\%|\a+>)?/
syn region migString start=/"/ skip=/\v\\.|""/ end=/"/ oneline
syn region migSql matchgroup=migTick start=/`/ skip=/``/ end=/`/ contains=@migSQL,migParameter keepend
syn match migParameter /\v%(\w|:)@<!:\h\w*/ contained
syn match migComment /#.*$/ contains=@Spell
syn region migLoose matchgroup=migBrace start=/\v%(^\s*%(\(|\h\w*\s*-\>)[^{]*)@<=\{/ end=/\}/ contained contains=migComment,migSql,migString,migNumber,migOperator,migLoose,@mig_loose
syn match migHeadClause /\v<%(add|after|all|always|and|as|at|backoff|because|before|boolean|by|canary|check|constraint|default|delete|desc|entity|enum|env|every|exclude|file|for|from|gate|generated|identity|in|include|index|into|invariant|irreversible|key|manual|metric|most|none|nulls|of|on|or|per|phi|pii|python|reads|replaces|request|rows|run|second|set|table|tenant|tenants|to|top|unclear|unique|unit|until|using|via|when|where|window|with|within)>/ contained
syn match migHeadType /\v<%(bigint|bigserial|bit|bool|boolean|box|bytea|char|character|cidr|circle|citext|date|datemultirange|daterange|day|decimal|double|float|float4|float8|geography|geometry|hour|hstore|inet|int|int2|int4|int4multirange|int4range|int8|int8multirange|int8range|integer|interval|json|jsonb|line|lseg|ltree|macaddr|macaddr8|minute|money|month|name|numeric|nummultirange|numrange|oid|path|pg_lsn|pg_snapshot|point|polygon|precision|real|second|serial|smallint|smallserial|text|time|timestamp|timestamptz|timetz|to|tsmultirange|tsquery|tsrange|tstzmultirange|tstzrange|tsvector|txid_snapshot|uuid|varbit|varchar|varying|vector|with|without|xml|year|zone)>/ contained

syn match migValue_file /\v<%(backfill|backfill_errors|backfill_progress|backfill_rate|bytes|contract|count|cutover|cutover_errors|dead_letters|deprecated_requests|drift_rate|enforce|expand|lock_wait|per_second|prepare|ratio|replace_errors|replication_lag|rows_extra|rows_mismatched|rows_missing|seconds|shadow_mismatch_rate|sync_lag|sync_waiting|tenants_unlisted|validate)>/
hi def link migValue_file migValue
syn match migClause_file /\v<%(after|and|because|boolean|by|entity|for|gate|in|invariant|irreversible|manual|metric|none|of|or|to|unit|when)>/
hi def link migClause_file migClause
syn match migWord_file /\v%(%(^|[{;])\s*)@<=<%(accept|alert|api|backfill|change|create|cutover|database|drop|entity|finished|flag|gate|impact|metric|migration|move|output|phase|replace|rollback|service|sync|tenants|use|validate)>/
hi def link migWord_file migWord
syn match migNamed_file /\v%(%(^|[{;])\s*<%(alert|api|backfill|change|create|database|entity|flag|gate|metric|migration|move|replace|service|sync|validate)>\s+)@<=%(<%(entity|none)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file migName
syn region migBlock_file_alert matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<alert>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file,@mig_file_alert
syn region migBlock_file_api matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<api>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file,@mig_file_api
syn region migBlock_file_backfill matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<backfill>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file,@mig_file_backfill
syn region migBlock_file_change matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<change>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file,@mig_file_change
syn region migBlock_file_create matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<create>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file,@mig_file_create
syn region migBlock_file_cutover matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<cutover>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file,@mig_file_cutover
syn region migBlock_file_database matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<database>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file,@mig_file_database
syn region migBlock_file_drop matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<drop>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file,@mig_file_drop
syn region migBlock_file_entity matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<entity>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file,@mig_file_entity
syn region migBlock_file_flag matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<flag>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file,@mig_file_flag
syn region migBlock_file_impact matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<impact>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file,@mig_file_impact
syn region migBlock_file_migration matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<migration>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file,@mig_file_migration
syn region migBlock_file_move matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<move>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file,@mig_file_move
syn region migBlock_file_output matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<output>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file,@mig_file_output
syn region migBlock_file_phase matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<phase>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file,@mig_file_phase
syn region migBlock_file_replace matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<replace>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file,@mig_file_replace
syn region migBlock_file_rollback matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<rollback>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file,@mig_file_rollback
syn region migBlock_file_service matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<service>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file,@mig_file_service
syn region migBlock_file_sync matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<sync>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file,@mig_file_sync
syn region migBlock_file_tenants matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<tenants>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file,@mig_file_tenants
syn region migBlock_file_validate matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<validate>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file,@mig_file_validate
syn cluster mig_file contains=migValue_file,migClause_file,migWord_file,migNamed_file,migBlock_file_alert,migBlock_file_api,migBlock_file_backfill,migBlock_file_change,migBlock_file_create,migBlock_file_cutover,migBlock_file_database,migBlock_file_drop,migBlock_file_entity,migBlock_file_flag,migBlock_file_impact,migBlock_file_migration,migBlock_file_move,migBlock_file_output,migBlock_file_phase,migBlock_file_replace,migBlock_file_rollback,migBlock_file_service,migBlock_file_sync,migBlock_file_tenants,migBlock_file_validate

syn match migValue_file_migration /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606|allowed|api_migration|architecture_migration|backfill|backfill_errors|backfill_progress|backfill_rate|cdc|contract|cutover|cutover_errors|database_migration|dead_letters|dependency_migration|deprecated_requests|drift_rate|dual_write|enforce|expand|forbidden|infrastructure_migration|lock_wait|none|prepare|replace_errors|replication_lag|rows_extra|rows_mismatched|rows_missing|schema_change|service_extraction|service_migration|shadow_mismatch_rate|sync_lag|sync_waiting|tenants_unlisted|validate)>/ contained
hi def link migValue_file_migration migValue
syn match migClause_file_migration /\v<%(and|because|file|for|or|window)>/ contained
hi def link migClause_file_migration migClause
syn match migWord_file_migration /\v%(%(^|[{;])\s*)@<=<%(allow|assume|downtime|dual_write|due|owner|prd|risk|slo|start|through|ticket|title|type)>/ contained
hi def link migWord_file_migration migWord
syn match migNamed_file_migration /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(<%(file|window)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_migration migName
syn cluster mig_file_migration contains=migValue_file_migration,migClause_file_migration,migWord_file_migration,migNamed_file_migration

syn match migValue_file_database /\v<%(postgresql)>/ contained
hi def link migValue_file_database migValue
syn match migClause_file_database /\v<%(after|env)>/ contained
hi def link migClause_file_database migClause
syn match migWord_file_database /\v%(%(^|[{;])\s*)@<=<%(engine|migrations|schema|service|url)>/ contained
hi def link migWord_file_database migWord
syn match migNamed_file_database /\v%(%(^|[{;])\s*<%(schema|service)>\s+)@<=%(<%(env)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_database migName
syn cluster mig_file_database contains=migValue_file_database,migClause_file_database,migWord_file_database,migNamed_file_database

syn match migClause_file_tenants /\v<%(because|enum|in|none)>/ contained
hi def link migClause_file_tenants migClause
syn match migType_file_tenants /\v<%(bigint|bigserial|bit|bool|boolean|box|bytea|char|character|cidr|circle|citext|date|datemultirange|daterange|day|decimal|double|float|float4|float8|geography|geometry|hour|hstore|inet|int|int2|int4|int4multirange|int4range|int8|int8multirange|int8range|integer|interval|json|jsonb|line|lseg|ltree|macaddr|macaddr8|minute|money|month|name|numeric|nummultirange|numrange|oid|path|pg_lsn|pg_snapshot|point|polygon|precision|real|second|serial|smallint|smallserial|text|time|timestamp|timestamptz|timetz|to|tsmultirange|tsquery|tsrange|tstzmultirange|tstzrange|tsvector|txid_snapshot|uuid|varbit|varchar|varying|vector|with|without|xml|year|zone)>/ contained
hi def link migType_file_tenants migType
syn match migWord_file_tenants /\v%(%(^|[{;])\s*)@<=<%(key|list)>/ contained
hi def link migWord_file_tenants migWord
syn match migNamed_file_tenants /\v%(%(^|[{;])\s*<%(key)>\s+)@<=%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_tenants migName
syn cluster mig_file_tenants contains=migClause_file_tenants,migType_file_tenants,migWord_file_tenants,migNamed_file_tenants

syn match migValue_file_entity /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606|brin|btree|cascade|confidential|first|gin|gist|hash|internal|last|null|public|restrict|spgist|unknown)>/ contained
hi def link migValue_file_entity migValue
syn match migClause_file_entity /\v<%(always|as|because|default|delete|desc|enum|generated|identity|in|include|key|nulls|on|phi|pii|set|tenant|unclear|unique|using|via|where|with)>/ contained
hi def link migClause_file_entity migClause
syn match migType_file_entity /\v<%(bigint|bigserial|bit|bool|boolean|box|bytea|char|character|cidr|circle|citext|date|datemultirange|daterange|day|decimal|double|float|float4|float8|geography|geometry|hour|hstore|inet|int|int2|int4|int4multirange|int4range|int8|int8multirange|int8range|integer|interval|json|jsonb|line|lseg|ltree|macaddr|macaddr8|minute|money|month|name|numeric|nummultirange|numrange|oid|path|pg_lsn|pg_snapshot|point|polygon|precision|real|second|serial|smallint|smallserial|text|time|timestamp|timestamptz|timetz|to|tsmultirange|tsquery|tsrange|tstzmultirange|tstzrange|tsvector|txid_snapshot|uuid|varbit|varchar|varying|vector|with|without|xml|year|zone)>/ contained
hi def link migType_file_entity migType
syn match migColumn_file_entity /\v%(%(^|[{;])\s*)@<=%(\h\w*|"%([^"\\]|\\.|"")*")%(\s+[A-Za-z_"])@=/ contained
hi def link migColumn_file_entity migName
syn match migWord_file_entity /\v%(%(^|[{;])\s*)@<=<%(allow|check|exclude|global|index|key|legacy|rows|sensitivity|tenant|unique)>/ contained
hi def link migWord_file_entity migWord
syn match migNamed_file_entity /\v%(%(^|[{;])\s*<%(legacy)>\s+)@<=%(<%(because|using|via)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_entity migName
syn cluster mig_file_entity contains=migValue_file_entity,migClause_file_entity,migType_file_entity,migColumn_file_entity,migWord_file_entity,migNamed_file_entity

syn match migValue_file_change /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606|brin|btree|cascade|first|full|gin|gist|hash|last|nothing|null|restrict|spgist)>/ contained
hi def link migValue_file_change migValue
syn match migClause_file_change /\v<%(add|after|always|as|because|before|check|constraint|default|delete|desc|enum|exclude|generated|identity|include|index|into|irreversible|key|nulls|on|phi|pii|set|table|tenant|to|unique|using|where|with)>/ contained
hi def link migClause_file_change migClause
syn match migType_file_change /\v<%(bigint|bigserial|bit|bool|boolean|box|bytea|char|character|cidr|circle|citext|date|datemultirange|daterange|day|decimal|double|float|float4|float8|geography|geometry|hour|hstore|inet|int|int2|int4|int4multirange|int4range|int8|int8multirange|int8range|integer|interval|json|jsonb|line|lseg|ltree|macaddr|macaddr8|minute|money|month|name|numeric|nummultirange|numrange|oid|path|pg_lsn|pg_snapshot|point|polygon|precision|real|second|serial|smallint|smallserial|text|time|timestamp|timestamptz|timetz|to|tsmultirange|tsquery|tsrange|tstzmultirange|tstzrange|tsvector|txid_snapshot|uuid|varbit|varchar|varying|vector|with|without|xml|year|zone)>/ contained
hi def link migType_file_change migType
syn match migWord_file_change /\v%(%(^|[{;])\s*)@<=<%(add|allow|check|comment|default|drop|enum|exclude|index|key|merge|optional|rename|replica|require|retype|split|sql|unique)>/ contained
hi def link migWord_file_change migWord
syn match migNamed_file_change /\v%(%(^|[{;])\s*<%(add|comment|default|drop|enum|merge|optional|rename|require|retype|split)>\s+)@<=%(<%(constraint|default|identity|index|table)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_change migName
syn region migBlock_file_change_add matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<add>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contained contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file_change,@mig_file_change_add
syn region migBlock_file_change_check matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<check>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contained contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file_change,@mig_file_change_check
syn region migBlock_file_change_default matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<default>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contained contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file_change,@mig_file_change_default
syn region migBlock_file_change_drop matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<drop>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contained contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file_change,@mig_file_change_drop
syn region migBlock_file_change_enum matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<enum>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contained contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file_change,@mig_file_change_enum
syn region migBlock_file_change_exclude matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<exclude>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contained contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file_change,@mig_file_change_exclude
syn region migBlock_file_change_index matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<index>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contained contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file_change,@mig_file_change_index
syn region migBlock_file_change_key matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<key>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contained contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file_change,@mig_file_change_key
syn region migBlock_file_change_merge matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<merge>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contained contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file_change,@mig_file_change_merge
syn region migBlock_file_change_optional matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<optional>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contained contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file_change,@mig_file_change_optional
syn region migBlock_file_change_rename matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<rename>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contained contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file_change,@mig_file_change_rename
syn region migBlock_file_change_require matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<require>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contained contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file_change,@mig_file_change_require
syn region migBlock_file_change_retype matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<retype>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contained contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file_change,@mig_file_change_retype
syn region migBlock_file_change_split matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<split>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contained contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file_change,@mig_file_change_split
syn region migBlock_file_change_sql matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<sql>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contained contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file_change,@mig_file_change_sql
syn region migBlock_file_change_unique matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<unique>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contained contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file_change,@mig_file_change_unique
syn cluster mig_file_change contains=migValue_file_change,migClause_file_change,migType_file_change,migWord_file_change,migNamed_file_change,migBlock_file_change_add,migBlock_file_change_check,migBlock_file_change_default,migBlock_file_change_drop,migBlock_file_change_enum,migBlock_file_change_exclude,migBlock_file_change_index,migBlock_file_change_key,migBlock_file_change_merge,migBlock_file_change_optional,migBlock_file_change_rename,migBlock_file_change_require,migBlock_file_change_retype,migBlock_file_change_split,migBlock_file_change_sql,migBlock_file_change_unique

syn match migValue_file_change_add /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606|cascade|null|restrict)>/ contained
hi def link migValue_file_change_add migValue
syn match migClause_file_change_add /\v<%(always|as|because|default|delete|enum|generated|identity|key|on|per|phi|pii|set|tenant|unique)>/ contained
hi def link migClause_file_change_add migClause
syn match migType_file_change_add /\v<%(bigint|bigserial|bit|bool|boolean|box|bytea|char|character|cidr|circle|citext|date|datemultirange|daterange|day|decimal|double|float|float4|float8|geography|geometry|hour|hstore|inet|int|int2|int4|int4multirange|int4range|int8|int8multirange|int8range|integer|interval|json|jsonb|line|lseg|ltree|macaddr|macaddr8|minute|money|month|name|numeric|nummultirange|numrange|oid|path|pg_lsn|pg_snapshot|point|polygon|precision|real|second|serial|smallint|smallserial|text|time|timestamp|timestamptz|timetz|to|tsmultirange|tsquery|tsrange|tstzmultirange|tstzrange|tsvector|txid_snapshot|uuid|varbit|varchar|varying|vector|with|without|xml|year|zone)>/ contained
hi def link migType_file_change_add migType
syn match migWord_file_change_add /\v%(%(^|[{;])\s*)@<=<%(allow|back|complies|from|unique)>/ contained
hi def link migWord_file_change_add migWord
syn match migNamed_file_change_add /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(<%(because|per)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_change_add migName
syn cluster mig_file_change_add contains=migValue_file_change_add,migClause_file_change_add,migType_file_change_add,migWord_file_change_add,migNamed_file_change_add

syn match migValue_file_change_drop /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606)>/ contained
hi def link migValue_file_change_drop migValue
syn match migClause_file_change_drop /\v<%(after|because|constraint|default|index|irreversible)>/ contained
hi def link migClause_file_change_drop migClause
syn match migWord_file_change_drop /\v%(%(^|[{;])\s*)@<=<%(after|allow|back|irreversible)>/ contained
hi def link migWord_file_change_drop migWord
syn match migNamed_file_change_drop /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(<%(because)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_change_drop migName
syn cluster mig_file_change_drop contains=migValue_file_change_drop,migClause_file_change_drop,migWord_file_change_drop,migNamed_file_change_drop

syn match migValue_file_change_require /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606)>/ contained
hi def link migValue_file_change_require migValue
syn match migClause_file_change_require /\v<%(because)>/ contained
hi def link migClause_file_change_require migClause
syn match migWord_file_change_require /\v%(%(^|[{;])\s*)@<=<%(allow|complies|from)>/ contained
hi def link migWord_file_change_require migWord
syn match migNamed_file_change_require /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(<%(because)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_change_require migName
syn cluster mig_file_change_require contains=migValue_file_change_require,migClause_file_change_require,migWord_file_change_require,migNamed_file_change_require

syn match migValue_file_change_optional /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606)>/ contained
hi def link migValue_file_change_optional migValue
syn match migClause_file_change_optional /\v<%(because)>/ contained
hi def link migClause_file_change_optional migClause
syn match migWord_file_change_optional /\v%(%(^|[{;])\s*)@<=<%(allow|back)>/ contained
hi def link migWord_file_change_optional migWord
syn match migNamed_file_change_optional /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_change_optional migName
syn cluster mig_file_change_optional contains=migValue_file_change_optional,migClause_file_change_optional,migWord_file_change_optional,migNamed_file_change_optional

syn match migValue_file_change_rename /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606)>/ contained
hi def link migValue_file_change_rename migValue
syn match migClause_file_change_rename /\v<%(after|because|table|to)>/ contained
hi def link migClause_file_change_rename migClause
syn match migWord_file_change_rename /\v%(%(^|[{;])\s*)@<=<%(after|allow|irreversible)>/ contained
hi def link migWord_file_change_rename migWord
syn match migNamed_file_change_rename /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(<%(because)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_change_rename migName
syn cluster mig_file_change_rename contains=migValue_file_change_rename,migClause_file_change_rename,migWord_file_change_rename,migNamed_file_change_rename

syn match migValue_file_change_retype /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606)>/ contained
hi def link migValue_file_change_retype migValue
syn match migClause_file_change_retype /\v<%(after|because|enum|irreversible)>/ contained
hi def link migClause_file_change_retype migClause
syn match migType_file_change_retype /\v<%(bigint|bigserial|bit|bool|boolean|box|bytea|char|character|cidr|circle|citext|date|datemultirange|daterange|day|decimal|double|float|float4|float8|geography|geometry|hour|hstore|inet|int|int2|int4|int4multirange|int4range|int8|int8multirange|int8range|integer|interval|json|jsonb|line|lseg|ltree|macaddr|macaddr8|minute|money|month|name|numeric|nummultirange|numrange|oid|path|pg_lsn|pg_snapshot|point|polygon|precision|real|second|serial|smallint|smallserial|text|time|timestamp|timestamptz|timetz|to|tsmultirange|tsquery|tsrange|tstzmultirange|tstzrange|tsvector|txid_snapshot|uuid|varbit|varchar|varying|vector|with|without|xml|year|zone)>/ contained
hi def link migType_file_change_retype migType
syn match migWord_file_change_retype /\v%(%(^|[{;])\s*)@<=<%(after|allow|back|from|irreversible)>/ contained
hi def link migWord_file_change_retype migWord
syn match migNamed_file_change_retype /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(<%(because)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_change_retype migName
syn cluster mig_file_change_retype contains=migValue_file_change_retype,migClause_file_change_retype,migType_file_change_retype,migWord_file_change_retype,migNamed_file_change_retype

syn match migValue_file_change_split /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606|cascade|null|restrict)>/ contained
hi def link migValue_file_change_split migValue
syn match migClause_file_change_split /\v<%(always|because|default|delete|enum|generated|identity|into|key|on|phi|pii|set|tenant|unique)>/ contained
hi def link migClause_file_change_split migClause
syn match migType_file_change_split /\v<%(bigint|bigserial|bit|bool|boolean|box|bytea|char|character|cidr|circle|citext|date|datemultirange|daterange|day|decimal|double|float|float4|float8|geography|geometry|hour|hstore|inet|int|int2|int4|int4multirange|int4range|int8|int8multirange|int8range|integer|interval|json|jsonb|line|lseg|ltree|macaddr|macaddr8|minute|money|month|name|numeric|nummultirange|numrange|oid|path|pg_lsn|pg_snapshot|point|polygon|precision|real|second|serial|smallint|smallserial|text|time|timestamp|timestamptz|timetz|to|tsmultirange|tsquery|tsrange|tstzmultirange|tstzrange|tsvector|txid_snapshot|uuid|varbit|varchar|varying|vector|with|without|xml|year|zone)>/ contained
hi def link migType_file_change_split migType
syn match migWord_file_change_split /\v%(%(^|[{;])\s*)@<=<%(after|allow|back|irreversible)>/ contained
hi def link migWord_file_change_split migWord
syn match migNamed_file_change_split /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(<%(because)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_change_split migName
syn cluster mig_file_change_split contains=migValue_file_change_split,migClause_file_change_split,migType_file_change_split,migWord_file_change_split,migNamed_file_change_split

syn match migValue_file_change_merge /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606|cascade|null|restrict)>/ contained
hi def link migValue_file_change_merge migValue
syn match migClause_file_change_merge /\v<%(always|because|default|delete|enum|generated|identity|into|key|on|phi|pii|set|tenant|unique)>/ contained
hi def link migClause_file_change_merge migClause
syn match migType_file_change_merge /\v<%(bigint|bigserial|bit|bool|boolean|box|bytea|char|character|cidr|circle|citext|date|datemultirange|daterange|day|decimal|double|float|float4|float8|geography|geometry|hour|hstore|inet|int|int2|int4|int4multirange|int4range|int8|int8multirange|int8range|integer|interval|json|jsonb|line|lseg|ltree|macaddr|macaddr8|minute|money|month|name|numeric|nummultirange|numrange|oid|path|pg_lsn|pg_snapshot|point|polygon|precision|real|second|serial|smallint|smallserial|text|time|timestamp|timestamptz|timetz|to|tsmultirange|tsquery|tsrange|tstzmultirange|tstzrange|tsvector|txid_snapshot|uuid|varbit|varchar|varying|vector|with|without|xml|year|zone)>/ contained
hi def link migType_file_change_merge migType
syn match migWord_file_change_merge /\v%(%(^|[{;])\s*)@<=<%(after|allow|back|from|irreversible)>/ contained
hi def link migWord_file_change_merge migWord
syn match migNamed_file_change_merge /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(<%(because)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_change_merge migName
syn cluster mig_file_change_merge contains=migValue_file_change_merge,migClause_file_change_merge,migType_file_change_merge,migWord_file_change_merge,migNamed_file_change_merge

syn match migValue_file_change_default /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606)>/ contained
hi def link migValue_file_change_default migValue
syn match migClause_file_change_default /\v<%(because)>/ contained
hi def link migClause_file_change_default migClause
syn match migWord_file_change_default /\v%(%(^|[{;])\s*)@<=<%(allow)>/ contained
hi def link migWord_file_change_default migWord
syn match migNamed_file_change_default /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_change_default migName
syn cluster mig_file_change_default contains=migValue_file_change_default,migClause_file_change_default,migWord_file_change_default,migNamed_file_change_default

syn match migValue_file_change_unique /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606|first|last)>/ contained
hi def link migValue_file_change_unique migValue
syn match migClause_file_change_unique /\v<%(as|because|desc|include|nulls|unique|where)>/ contained
hi def link migClause_file_change_unique migClause
syn match migWord_file_change_unique /\v%(%(^|[{;])\s*)@<=<%(allow|complies)>/ contained
hi def link migWord_file_change_unique migWord
syn match migNamed_file_change_unique /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(<%(because)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_change_unique migName
syn cluster mig_file_change_unique contains=migValue_file_change_unique,migClause_file_change_unique,migWord_file_change_unique,migNamed_file_change_unique

syn match migValue_file_change_index /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606|brin|btree|first|gin|gist|hash|last|spgist)>/ contained
hi def link migValue_file_change_index migValue
syn match migClause_file_change_index /\v<%(as|because|desc|include|index|nulls|using|where)>/ contained
hi def link migClause_file_change_index migClause
syn match migWord_file_change_index /\v%(%(^|[{;])\s*)@<=<%(allow|complies)>/ contained
hi def link migWord_file_change_index migWord
syn match migNamed_file_change_index /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(<%(because)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_change_index migName
syn cluster mig_file_change_index contains=migValue_file_change_index,migClause_file_change_index,migWord_file_change_index,migNamed_file_change_index

syn match migValue_file_change_check /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606)>/ contained
hi def link migValue_file_change_check migValue
syn match migClause_file_change_check /\v<%(as|because|check)>/ contained
hi def link migClause_file_change_check migClause
syn match migWord_file_change_check /\v%(%(^|[{;])\s*)@<=<%(allow|complies)>/ contained
hi def link migWord_file_change_check migWord
syn match migNamed_file_change_check /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(<%(because)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_change_check migName
syn cluster mig_file_change_check contains=migValue_file_change_check,migClause_file_change_check,migWord_file_change_check,migNamed_file_change_check

syn match migValue_file_change_exclude /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606)>/ contained
hi def link migValue_file_change_exclude migValue
syn match migClause_file_change_exclude /\v<%(as|because|exclude|using|where|with)>/ contained
hi def link migClause_file_change_exclude migClause
syn match migWord_file_change_exclude /\v%(%(^|[{;])\s*)@<=<%(allow|complies)>/ contained
hi def link migWord_file_change_exclude migWord
syn match migNamed_file_change_exclude /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(<%(because)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_change_exclude migName
syn cluster mig_file_change_exclude contains=migValue_file_change_exclude,migClause_file_change_exclude,migWord_file_change_exclude,migNamed_file_change_exclude

syn match migValue_file_change_key /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606)>/ contained
hi def link migValue_file_change_key migValue
syn match migClause_file_change_key /\v<%(because|key)>/ contained
hi def link migClause_file_change_key migClause
syn match migWord_file_change_key /\v%(%(^|[{;])\s*)@<=<%(allow|complies)>/ contained
hi def link migWord_file_change_key migWord
syn match migNamed_file_change_key /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(<%(because)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_change_key migName
syn cluster mig_file_change_key contains=migValue_file_change_key,migClause_file_change_key,migWord_file_change_key,migNamed_file_change_key

syn match migValue_file_change_enum /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606)>/ contained
hi def link migValue_file_change_enum migValue
syn match migClause_file_change_enum /\v<%(add|after|because|before)>/ contained
hi def link migClause_file_change_enum migClause
syn match migWord_file_change_enum /\v%(%(^|[{;])\s*)@<=<%(allow)>/ contained
hi def link migWord_file_change_enum migWord
syn match migNamed_file_change_enum /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_change_enum migName
syn cluster mig_file_change_enum contains=migValue_file_change_enum,migClause_file_change_enum,migWord_file_change_enum,migNamed_file_change_enum

syn match migValue_file_change_sql /\v<%(EXCLUSIVE|MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606|SHARE|backfill|contract|cutover|enforce|expand|prepare|validate)>/ contained
hi def link migValue_file_change_sql migValue
syn match migClause_file_change_sql /\v<%(because)>/ contained
hi def link migClause_file_change_sql migClause
syn match migWord_file_change_sql /\v%(%(^|[{;])\s*)@<=<%(allow|back|irreversible|lock|phase|up)>/ contained
hi def link migWord_file_change_sql migWord
syn match migNamed_file_change_sql /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(<%(because)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_change_sql migName
syn cluster mig_file_change_sql contains=migValue_file_change_sql,migClause_file_change_sql,migWord_file_change_sql,migNamed_file_change_sql

syn match migValue_file_create /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606|brin|btree|cascade|confidential|first|gin|gist|hash|internal|last|null|public|restrict|spgist|unknown)>/ contained
hi def link migValue_file_create migValue
syn match migClause_file_create /\v<%(always|as|because|default|delete|desc|enum|generated|identity|in|include|key|nulls|on|phi|pii|set|tenant|unclear|unique|using|via|where|with)>/ contained
hi def link migClause_file_create migClause
syn match migType_file_create /\v<%(bigint|bigserial|bit|bool|boolean|box|bytea|char|character|cidr|circle|citext|date|datemultirange|daterange|day|decimal|double|float|float4|float8|geography|geometry|hour|hstore|inet|int|int2|int4|int4multirange|int4range|int8|int8multirange|int8range|integer|interval|json|jsonb|line|lseg|ltree|macaddr|macaddr8|minute|money|month|name|numeric|nummultirange|numrange|oid|path|pg_lsn|pg_snapshot|point|polygon|precision|real|second|serial|smallint|smallserial|text|time|timestamp|timestamptz|timetz|to|tsmultirange|tsquery|tsrange|tstzmultirange|tstzrange|tsvector|txid_snapshot|uuid|varbit|varchar|varying|vector|with|without|xml|year|zone)>/ contained
hi def link migType_file_create migType
syn match migColumn_file_create /\v%(%(^|[{;])\s*)@<=%(\h\w*|"%([^"\\]|\\.|"")*")%(\s+[A-Za-z_"])@=/ contained
hi def link migColumn_file_create migName
syn match migWord_file_create /\v%(%(^|[{;])\s*)@<=<%(allow|check|exclude|from|global|index|key|legacy|rows|sensitivity|tenant|unique)>/ contained
hi def link migWord_file_create migWord
syn match migNamed_file_create /\v%(%(^|[{;])\s*<%(from|legacy)>\s+)@<=%(<%(because|using|via)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_create migName
syn region migBlock_file_create_from matchgroup=migWord start=/\v%(%(^|[{;])\s*)@<=<from>%(%([^{}"`#;]|"%([^"\\]|\\.|"")*"|`[^`]*`)*\{)@=/ end=/\}/ contained contains=migComment,migSql,migString,migNumber,migOperator,migLoose,migHeadClause,migHeadType,migNamed_file_create,@mig_file_create_from
syn cluster mig_file_create contains=migValue_file_create,migClause_file_create,migType_file_create,migColumn_file_create,migWord_file_create,migNamed_file_create,migBlock_file_create_from

syn match migWord_file_create_from /\v%(%(^|[{;])\s*)@<=<%(where)>/ contained
hi def link migWord_file_create_from migWord
syn match migNamed_file_create_from /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_create_from migName
syn cluster mig_file_create_from contains=migWord_file_create_from,migNamed_file_create_from

syn match migValue_file_drop /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606)>/ contained
hi def link migValue_file_drop migValue
syn match migClause_file_drop /\v<%(after|because|entity|irreversible)>/ contained
hi def link migClause_file_drop migClause
syn match migWord_file_drop /\v%(%(^|[{;])\s*)@<=<%(after|allow|irreversible)>/ contained
hi def link migWord_file_drop migWord
syn match migNamed_file_drop /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(<%(because)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_drop migName
syn cluster mig_file_drop contains=migValue_file_drop,migClause_file_drop,migWord_file_drop,migNamed_file_drop

syn match migValue_file_cutover /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606|backfill_errors|backfill_progress|backfill_rate|cutover_errors|dead_letters|deprecated_requests|drift_rate|lock_wait|replace_errors|replication_lag|rows_extra|rows_mismatched|rows_missing|shadow_mismatch_rate|sync_lag|sync_waiting|tenants_unlisted)>/ contained
hi def link migValue_file_cutover migValue
syn match migClause_file_cutover /\v<%(and|because|by|canary|every|for|or|reads|request|when)>/ contained
hi def link migClause_file_cutover migClause
syn match migWord_file_cutover /\v%(%(^|[{;])\s*)@<=<%(abort|allow|canary|ramp|reads|writes)>/ contained
hi def link migWord_file_cutover migWord
syn match migNamed_file_cutover /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(<%(by|when)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_cutover migName
syn cluster mig_file_cutover contains=migValue_file_cutover,migClause_file_cutover,migWord_file_cutover,migNamed_file_cutover

syn match migValue_file_flag /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606|complete|dualwrite|live|off|rampdown|shadow)>/ contained
hi def link migValue_file_flag migValue
syn match migClause_file_flag /\v<%(all|because|boolean|canary|for|of|tenants)>/ contained
hi def link migClause_file_flag migClause
syn match migWord_file_flag /\v%(%(^|[{;])\s*)@<=<%(allow|on|stage)>/ contained
hi def link migWord_file_flag migWord
syn match migNamed_file_flag /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(<%(for)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_flag migName
syn cluster mig_file_flag contains=migValue_file_flag,migClause_file_flag,migWord_file_flag,migNamed_file_flag

syn match migValue_file_phase /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606|backfill|backfill_errors|backfill_progress|backfill_rate|contract|cutover|cutover_errors|dead_letters|deprecated_requests|drift_rate|enforce|expand|lock_wait|prepare|replace_errors|replication_lag|rows_extra|rows_mismatched|rows_missing|shadow_mismatch_rate|sync_lag|sync_waiting|tenants_unlisted|validate)>/ contained
hi def link migValue_file_phase migValue
syn match migClause_file_phase /\v<%(after|and|because|for|in|or|run|when)>/ contained
hi def link migClause_file_phase migClause
syn match migWord_file_phase /\v%(%(^|[{;])\s*)@<=<%(after|allow|exit|step)>/ contained
hi def link migWord_file_phase migWord
syn match migNamed_file_phase /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(<%(when)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_phase migName
syn cluster mig_file_phase contains=migValue_file_phase,migClause_file_phase,migWord_file_phase,migNamed_file_phase

syn match migValue_file_backfill /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606|backfill_errors|backfill_progress|backfill_rate|celery|cutover_errors|dead_letters|deprecated_requests|drift_rate|local|lock_wait|procrastinate|replace_errors|replication_lag|rows_extra|rows_mismatched|rows_missing|shadow_mismatch_rate|sync_lag|sync_waiting|tenants_unlisted)>/ contained
hi def link migValue_file_backfill migValue
syn match migClause_file_backfill /\v<%(and|at|backoff|because|by|desc|for|from|most|or|per|python|rows|second|when)>/ contained
hi def link migClause_file_backfill migClause
syn match migWord_file_backfill /\v%(%(^|[{;])\s*)@<=<%(allow|batch|engine|errors|order|pause|retry|throttle|using|workers)>/ contained
hi def link migWord_file_backfill migWord
syn match migNamed_file_backfill /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(<%(at|by|python|when)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_backfill migName
syn cluster mig_file_backfill contains=migValue_file_backfill,migClause_file_backfill,migWord_file_backfill,migNamed_file_backfill

syn match migValue_file_validate /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606)>/ contained
hi def link migValue_file_validate migValue
syn match migClause_file_validate /\v<%(and|because|by|top)>/ contained
hi def link migClause_file_validate migClause
syn match migWord_file_validate /\v%(%(^|[{;])\s*)@<=<%(allow|checksum|counts|invariant|sample)>/ contained
hi def link migWord_file_validate migWord
syn match migNamed_file_validate /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_validate migName
syn cluster mig_file_validate contains=migValue_file_validate,migClause_file_validate,migWord_file_validate,migNamed_file_validate

syn match migValue_file_rollback /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606|backfill_errors|backfill_progress|backfill_rate|cutover_errors|dead_letters|deprecated_requests|drift_rate|lock_wait|replace_errors|replication_lag|rows_extra|rows_mismatched|rows_missing|shadow_mismatch_rate|sync_lag|sync_waiting|tenants_unlisted)>/ contained
hi def link migValue_file_rollback migValue
syn match migClause_file_rollback /\v<%(and|because|for|or|run)>/ contained
hi def link migClause_file_rollback migClause
syn match migWord_file_rollback /\v%(%(^|[{;])\s*)@<=<%(allow|keep|step|when)>/ contained
hi def link migWord_file_rollback migWord
syn match migNamed_file_rollback /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_rollback migName
syn cluster mig_file_rollback contains=migValue_file_rollback,migClause_file_rollback,migWord_file_rollback,migNamed_file_rollback

syn match migValue_file_alert /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606|backfill_errors|backfill_progress|backfill_rate|cutover_errors|dead_letters|deprecated_requests|drift_rate|info|lock_wait|page|replace_errors|replication_lag|rows_extra|rows_mismatched|rows_missing|shadow_mismatch_rate|sync_lag|sync_waiting|tenants_unlisted|ticket)>/ contained
hi def link migValue_file_alert migValue
syn match migClause_file_alert /\v<%(and|because|for|or)>/ contained
hi def link migClause_file_alert migClause
syn match migWord_file_alert /\v%(%(^|[{;])\s*)@<=<%(allow|runbook|severity|summary|when)>/ contained
hi def link migWord_file_alert migWord
syn match migNamed_file_alert /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_alert migName
syn cluster mig_file_alert contains=migValue_file_alert,migClause_file_alert,migWord_file_alert,migNamed_file_alert

syn match migValue_file_impact /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606|critical|high|low|medium)>/ contained
hi def link migValue_file_impact migValue
syn match migClause_file_impact /\v<%(because)>/ contained
hi def link migClause_file_impact migClause
syn match migWord_file_impact /\v%(%(^|[{;])\s*)@<=<%(affects|allow|breaking|downtime|risk|stakeholders)>/ contained
hi def link migWord_file_impact migWord
syn match migNamed_file_impact /\v%(%(^|[{;])\s*<%(affects)>\s+)@<=%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_impact migName
syn cluster mig_file_impact contains=migValue_file_impact,migClause_file_impact,migWord_file_impact,migNamed_file_impact

syn match migValue_file_output /\v<%(alerts|api|api_guide|backfills|cdc|dashboard|dual_writes|flags|migrations|plan|reconcile|routing|rule_tests|rules|runbook|sync|verify)>/ contained
hi def link migValue_file_output migValue
syn cluster mig_file_output contains=migValue_file_output

syn match migWord_file_service /\v%(%(^|[{;])\s*)@<=<%(owner)>/ contained
hi def link migWord_file_service migWord
syn match migNamed_file_service /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_service migName
syn cluster mig_file_service contains=migWord_file_service,migNamed_file_service

syn match migValue_file_replace /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606|architecture|dependency|infrastructure)>/ contained
hi def link migValue_file_replace migValue
syn match migClause_file_replace /\v<%(because|by|canary|every|request|run|within)>/ contained
hi def link migClause_file_replace migClause
syn match migWord_file_replace /\v%(%(^|[{;])\s*)@<=<%(affects|after|allow|canary|kind|new|old|ramp|rollback|route|verify)>/ contained
hi def link migWord_file_replace migWord
syn match migNamed_file_replace /\v%(%(^|[{;])\s*<%(affects)>\s+)@<=%(<%(by)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_replace migName
syn cluster mig_file_replace contains=migValue_file_replace,migClause_file_replace,migWord_file_replace,migNamed_file_replace

syn match migValue_file_api /\v<%(DELETE|GET|HEAD|MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606|OPTIONS|PATCH|POST|PUT|header|media_type|url)>/ contained
hi def link migValue_file_api migValue
syn match migClause_file_api /\v<%(at|because|on|replaces|until)>/ contained
hi def link migClause_file_api migClause
syn match migWord_file_api /\v%(%(^|[{;])\s*)@<=<%(allow|announce|breaking|deprecate|grace|guide|route|strategy|sunset|version)>/ contained
hi def link migWord_file_api migWord
syn match migNamed_file_api /\v%(%(^|[{;])\s*<%(deprecate|sunset|version)>\s+)@<=%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_api migName
syn cluster mig_file_api contains=migValue_file_api,migClause_file_api,migWord_file_api,migNamed_file_api

syn match migValue_file_move /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606|brin|btree|cascade|first|gin|gist|hash|last|null|restrict|spgist)>/ contained
hi def link migValue_file_move migValue
syn match migClause_file_move /\v<%(always|as|because|default|delete|desc|enum|generated|identity|include|key|nulls|on|phi|pii|set|tenant|to|unique|using|where)>/ contained
hi def link migClause_file_move migClause
syn match migType_file_move /\v<%(bigint|bigserial|bit|bool|boolean|box|bytea|char|character|cidr|circle|citext|date|datemultirange|daterange|day|decimal|double|float|float4|float8|geography|geometry|hour|hstore|inet|int|int2|int4|int4multirange|int4range|int8|int8multirange|int8range|integer|interval|json|jsonb|line|lseg|ltree|macaddr|macaddr8|minute|money|month|name|numeric|nummultirange|numrange|oid|path|pg_lsn|pg_snapshot|point|polygon|precision|real|second|serial|smallint|smallserial|text|time|timestamp|timestamptz|timetz|to|tsmultirange|tsquery|tsrange|tstzmultirange|tstzrange|tsvector|txid_snapshot|uuid|varbit|varchar|varying|vector|with|without|xml|year|zone)>/ contained
hi def link migType_file_move migType
syn match migWord_file_move /\v%(%(^|[{;])\s*)@<=<%(after|allow|back|check|index|omit|unique)>/ contained
hi def link migWord_file_move migWord
syn match migNamed_file_move /\v%(%(^|[{;])\s*<%(omit)>\s+)@<=%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_move migName
syn cluster mig_file_move contains=migValue_file_move,migClause_file_move,migType_file_move,migWord_file_move,migNamed_file_move

syn match migValue_file_sync /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606|application|cdc|newest|outbox|trigger|truth)>/ contained
hi def link migValue_file_sync migValue
syn match migClause_file_sync /\v<%(at|because|most)>/ contained
hi def link migClause_file_sync migClause
syn match migWord_file_sync /\v%(%(^|[{;])\s*)@<=<%(allow|by|conflict|lag)>/ contained
hi def link migWord_file_sync migWord
syn match migNamed_file_sync /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(<%(at)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_file_sync migName
syn cluster mig_file_sync contains=migValue_file_sync,migClause_file_sync,migWord_file_sync,migNamed_file_sync

syn match migValue_loose /\v<%(MIG306|MIG407|MIG410|MIG413|MIG435|MIG454|MIG501|MIG512|MIG601|MIG603|MIG606)>/ contained
hi def link migValue_loose migValue
syn match migClause_loose /\v<%(because)>/ contained
hi def link migClause_loose migClause
syn match migWord_loose /\v%(%(^|[{;])\s*)@<=<%(allow|complies)>/ contained
hi def link migWord_loose migWord
syn match migNamed_loose /\v%(%(^|[{;])\s*<%(a^)>\s+)@<=%(<%(because)>)@!%(\h\w*|"%([^"\\]|\\.|"")*")/ contained
hi def link migNamed_loose migName
syn cluster mig_loose contains=migValue_loose,migClause_loose,migWord_loose,migNamed_loose

hi def link migComment Comment
hi def link migString String
hi def link migNumber Number
hi def link migOperator Operator
hi def link migTick Delimiter
hi def link migWord Statement
hi def link migName Identifier
hi def link migClause Keyword
hi def link migType Type
hi def link migValue Constant
hi def link migHeadClause Keyword
hi def link migHeadType Type
hi def link migBrace Delimiter
hi def link migParameter Special

syn sync fromstart
let b:current_syntax = "mig"
