BEGIN TRANSACTION;
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE assets (
	video_id VARCHAR(40) NOT NULL, 
	variant VARCHAR(20) NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	mime TEXT NOT NULL, 
	made_by VARCHAR(20) NOT NULL, 
	CONSTRAINT pk_assets PRIMARY KEY (video_id, variant), 
	CONSTRAINT fk_assets_video_id_videos FOREIGN KEY(video_id) REFERENCES videos (id)
);
INSERT INTO "assets" VALUES('video_8b74580f15714fada2076bea762c0dd6','manifest','6286024792c6a62c668603c31c143a64178a17a42f6f8c4a92eb1a8b6670ece9',3709,'application/c2pa','us');
INSERT INTO "assets" VALUES('video_c354c135f5e44897a8e0c28ef2573295','manifest','6b532068bd15cba8e602519448448967f9f31d61ff08435a79db8f25455daa2d',3709,'application/c2pa','us');
INSERT INTO "assets" VALUES('video_c354c135f5e44897a8e0c28ef2573295','thumbnail','fcd1d8696a49ae9d07b4e30728d3969328401399eed87de0ee96069f5e0a1fe6',352,'image/webp','provider');
INSERT INTO "assets" VALUES('video_c354c135f5e44897a8e0c28ef2573295','spritesheet','27983a45a6fb1ed935335d46d54019bf9b80b6b9203b218c74345e6043c84882',8337,'image/jpeg','provider');
CREATE TABLE attempts (
	job_id VARCHAR(40) NOT NULL, 
	n INTEGER NOT NULL, 
	provider TEXT NOT NULL, 
	account TEXT NOT NULL, 
	model TEXT NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	"key" TEXT NOT NULL, 
	request_hash VARCHAR(64) NOT NULL, 
	intent_at BIGINT NOT NULL, 
	sent_at BIGINT, 
	answered_at BIGINT, 
	ended_at BIGINT, 
	remote_id TEXT, 
	remote_json TEXT, 
	remote_expires_at BIGINT, 
	cost_usd BIGINT, 
	error_code TEXT, 
	error TEXT, 
	repaid BOOLEAN NOT NULL, 
	CONSTRAINT pk_attempts PRIMARY KEY (job_id, n), 
	CONSTRAINT uq_attempts_account_remote_id UNIQUE (account, remote_id), 
	CONSTRAINT fk_attempts_job_id_jobs FOREIGN KEY(job_id) REFERENCES jobs (id), 
	CONSTRAINT uq_attempts_key UNIQUE ("key")
);
INSERT INTO "attempts" VALUES('video_d9ec021e429d4148ac875801257bd6bc',1,'openai','openai@127.0.0.1:0#de5016a9d353','openai:video:sora-2','intent','video_d9ec021e429d4148ac875801257bd6bc-1','d5ad930a5d748bae78de2df4a94e25e1da89e6ba6ec74a373b9b6156bd971581',1795284612269067,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "attempts" VALUES('video_7e452c636482412ca9c1a4ebe436e12b',1,'openai','openai@127.0.0.1:0#de5016a9d353','openai:video:sora-2','sending','video_7e452c636482412ca9c1a4ebe436e12b-1','875e0f6375909f8e1e946043af4be17e2f5b2d989e80797bbdfa3d9ffa1c69f7',1795284612286820,1795284612289636,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "attempts" VALUES('video_41f2ce2a47ac41889ea9a2c28bf51017',1,'openai','openai@127.0.0.1:0#de5016a9d353','openai:video:sora-2','sending','video_41f2ce2a47ac41889ea9a2c28bf51017-1','b3c6c052f0d71ec35a43a7b2315f8706bed217a3537676eca03c892fbc0ccae0',1795284612305304,1795284612308182,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "attempts" VALUES('video_12dd3df7b64344ea8938debf5e0a5e4b',1,'openai','openai@127.0.0.1:0#de5016a9d353','openai:video:sora-2','created','video_12dd3df7b64344ea8938debf5e0a5e4b-1','034e8ce3cbbddcca7c91653d0f2e643ac7e0fd34be6ea7db97c81df93461b634',1795284612356924,1795284612361098,1795284612366349,NULL,'video_a641a1c55c733fe72bc981df687731b4320d6322d6139ead','{}',1795288212000000,NULL,NULL,NULL,0);
INSERT INTO "attempts" VALUES('video_cff6c551f99e4d76866708ecd659a48e',1,'openai','openai@127.0.0.1:0#de5016a9d353','openai:video:sora-2','created','video_cff6c551f99e4d76866708ecd659a48e-1','4bfa87f74af8544a9611f9575d136c199ecac41109b9bc673a792f172f044a26',1795284612389167,1795284612392325,1795284612399325,NULL,'video_6b2d0a888d129d1f53285bf1da45fc68b53568d2444eeee6','{}',1795288212000000,NULL,NULL,NULL,0);
INSERT INTO "attempts" VALUES('video_5252e4e68289420cb133ce3733513004',1,'openai','openai@127.0.0.1:0#de5016a9d353','openai:video:sora-2','ended','video_5252e4e68289420cb133ce3733513004-1','891639129f4c65859e33654c4ddb3f189f2ff0895c429fea1f77267fe5bd3583',1795284612474171,1795284612477362,1795284612482941,1795284612542535,'video_a6546033b076d726642ef5672c5e6b49d6d11db408c105dc','{}',1795288212000000,400000,NULL,NULL,0);
INSERT INTO "attempts" VALUES('video_f728aba2a3c848678a54883de5e40f15',1,'openai','openai@127.0.0.1:0#de5016a9d353','openai:video:sora-2','ended','video_f728aba2a3c848678a54883de5e40f15-1','06e0591e37f3e81ef01880080d535736fd63b277f2c3555a4614a8c080a7d740',1795284612560615,1795284612563583,1795284612568427,1795284612624493,'video_5910760ac43325e82dd5db94f7cae277ad73f1bec5197350','{}',1795288212000000,400000,NULL,NULL,0);
INSERT INTO "attempts" VALUES('video_934f0eebf5f3414fbc6026612f3e4c59',1,'openai','openai@127.0.0.1:0#de5016a9d353','openai:video:sora-2','ended','video_934f0eebf5f3414fbc6026612f3e4c59-1','3e61c66daddedcb2fd749ec9831921bc130acb153bf91b858a3f778af29594d7',1795284612648345,1795284612651220,1795284612655473,1795284612711333,'video_cbab0c135ef6b064ba7fa318efbadee5bebbd480d2aafae3','{}',1795288212000000,400000,NULL,NULL,0);
INSERT INTO "attempts" VALUES('video_d935c7836fb54c86bfe00668ec54e941',1,'openai','openai@127.0.0.1:0#de5016a9d353','openai:video:sora-2','ended','video_d935c7836fb54c86bfe00668ec54e941-1','08da843c45215c0892f82ca8d12dc37cc1756aee788fc6f7f6f46350db8c264a',1795284612960809,1795284612963632,1795284612967949,1795284613024463,'video_a6f914c9976ae1d3619a32540f556cab7b518631e4293b6c','{}',1795288212000000,400000,NULL,NULL,0);
INSERT INTO "attempts" VALUES('video_8b74580f15714fada2076bea762c0dd6',1,'openai','openai@127.0.0.1:0#de5016a9d353','openai:video:sora-2','ended','video_8b74580f15714fada2076bea762c0dd6-1','ac632a955bc97f660b575bed466425e787ebee574f9a96f7568fad5544c26ec5',1795284613060832,1795284613063610,1795284613068021,1795284613124178,'video_d181d79036558e9cb5c6f39fee8bdbd3c8a1614848125d9b','{}',1795288213000000,400000,NULL,NULL,0);
INSERT INTO "attempts" VALUES('video_c354c135f5e44897a8e0c28ef2573295',1,'openai','openai@127.0.0.1:0#de5016a9d353','openai:video:sora-2','ended','video_c354c135f5e44897a8e0c28ef2573295-1','90668efc46c99179eca25729e5e7f17bca3d1cf770f626d2ed8f7aba8d1915f9',1795284613161309,1795284613164076,1795284613168328,1795284613224167,'video_4fe037ab65ce2195c7f720396b332aa812f397c876332887','{}',1795288213000000,400000,NULL,NULL,0);
INSERT INTO "attempts" VALUES('video_c95c877f820347be842c341b5c0dedfe',1,'openai','openai@127.0.0.1:0#de5016a9d353','openai:video:sora-2','unknown','video_c95c877f820347be842c341b5c0dedfe-1','39f1af4193843edbbfdc6e0470c85cda99654f485525d6c689ab9c7c057d57ff',1795284613302364,1795284613305229,NULL,NULL,NULL,NULL,NULL,NULL,'provider_unavailable','OpenAI: This is a fault made on purpose. (step create, HTTP 500, request req_8f8db4fec75107c3)',0);
CREATE TABLE characters (
	id VARCHAR(40) NOT NULL, 
	owner VARCHAR(80) NOT NULL, 
	provider TEXT NOT NULL, 
	account TEXT NOT NULL, 
	remote_id TEXT NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	clip_sha256 VARCHAR(64) NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_characters PRIMARY KEY (id)
);
CREATE TABLE events (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	job_id VARCHAR(40) NOT NULL, 
	ts BIGINT NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	json TEXT NOT NULL
);
INSERT INTO "events" VALUES(1,'video_af869dd0346c4bf29b324f2e4813da58',1795284612248043,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(2,'video_d9ec021e429d4148ac875801257bd6bc',1795284612262612,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(3,'video_d9ec021e429d4148ac875801257bd6bc',1795284612269067,'submitting','{"attempt": 1}');
INSERT INTO "events" VALUES(4,'video_7e452c636482412ca9c1a4ebe436e12b',1795284612281715,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(5,'video_7e452c636482412ca9c1a4ebe436e12b',1795284612286820,'submitting','{"attempt": 1}');
INSERT INTO "events" VALUES(6,'video_41f2ce2a47ac41889ea9a2c28bf51017',1795284612300208,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(7,'video_41f2ce2a47ac41889ea9a2c28bf51017',1795284612305304,'submitting','{"attempt": 1}');
INSERT INTO "events" VALUES(8,'video_12dd3df7b64344ea8938debf5e0a5e4b',1795284612350122,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(9,'video_12dd3df7b64344ea8938debf5e0a5e4b',1795284612356924,'submitting','{"attempt": 1}');
INSERT INTO "events" VALUES(10,'video_12dd3df7b64344ea8938debf5e0a5e4b',1795284612366349,'accepted','{"attempt": 1, "remote_id": "video_a641a1c55c733fe72bc981df687731b4320d6322d6139ead"}');
INSERT INTO "events" VALUES(11,'video_cff6c551f99e4d76866708ecd659a48e',1795284612383300,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(12,'video_cff6c551f99e4d76866708ecd659a48e',1795284612389167,'submitting','{"attempt": 1}');
INSERT INTO "events" VALUES(13,'video_cff6c551f99e4d76866708ecd659a48e',1795284612399325,'accepted','{"attempt": 1, "remote_id": "video_6b2d0a888d129d1f53285bf1da45fc68b53568d2444eeee6"}');
INSERT INTO "events" VALUES(14,'video_5252e4e68289420cb133ce3733513004',1795284612467515,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(15,'video_5252e4e68289420cb133ce3733513004',1795284612474171,'submitting','{"attempt": 1}');
INSERT INTO "events" VALUES(16,'video_5252e4e68289420cb133ce3733513004',1795284612482941,'accepted','{"attempt": 1, "remote_id": "video_a6546033b076d726642ef5672c5e6b49d6d11db408c105dc"}');
INSERT INTO "events" VALUES(17,'video_5252e4e68289420cb133ce3733513004',1795284612542535,'rendered','{"cost_usd": "0.40"}');
INSERT INTO "events" VALUES(18,'video_f728aba2a3c848678a54883de5e40f15',1795284612555027,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(19,'video_f728aba2a3c848678a54883de5e40f15',1795284612560615,'submitting','{"attempt": 1}');
INSERT INTO "events" VALUES(20,'video_f728aba2a3c848678a54883de5e40f15',1795284612568427,'accepted','{"attempt": 1, "remote_id": "video_5910760ac43325e82dd5db94f7cae277ad73f1bec5197350"}');
INSERT INTO "events" VALUES(21,'video_f728aba2a3c848678a54883de5e40f15',1795284612624493,'rendered','{"cost_usd": "0.40"}');
INSERT INTO "events" VALUES(22,'video_934f0eebf5f3414fbc6026612f3e4c59',1795284612643249,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(23,'video_934f0eebf5f3414fbc6026612f3e4c59',1795284612648345,'submitting','{"attempt": 1}');
INSERT INTO "events" VALUES(24,'video_934f0eebf5f3414fbc6026612f3e4c59',1795284612655473,'accepted','{"attempt": 1, "remote_id": "video_cbab0c135ef6b064ba7fa318efbadee5bebbd480d2aafae3"}');
INSERT INTO "events" VALUES(25,'video_934f0eebf5f3414fbc6026612f3e4c59',1795284612711333,'rendered','{"cost_usd": "0.40"}');
INSERT INTO "events" VALUES(26,'video_934f0eebf5f3414fbc6026612f3e4c59',1795284612942359,'finishing','{}');
INSERT INTO "events" VALUES(27,'video_d935c7836fb54c86bfe00668ec54e941',1795284612955768,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(28,'video_d935c7836fb54c86bfe00668ec54e941',1795284612960809,'submitting','{"attempt": 1}');
INSERT INTO "events" VALUES(29,'video_d935c7836fb54c86bfe00668ec54e941',1795284612967949,'accepted','{"attempt": 1, "remote_id": "video_a6f914c9976ae1d3619a32540f556cab7b518631e4293b6c"}');
INSERT INTO "events" VALUES(30,'video_d935c7836fb54c86bfe00668ec54e941',1795284613024463,'rendered','{"cost_usd": "0.40"}');
INSERT INTO "events" VALUES(31,'video_d935c7836fb54c86bfe00668ec54e941',1795284613041773,'finishing','{}');
INSERT INTO "events" VALUES(32,'video_8b74580f15714fada2076bea762c0dd6',1795284613054090,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(33,'video_8b74580f15714fada2076bea762c0dd6',1795284613060832,'submitting','{"attempt": 1}');
INSERT INTO "events" VALUES(34,'video_8b74580f15714fada2076bea762c0dd6',1795284613068021,'accepted','{"attempt": 1, "remote_id": "video_d181d79036558e9cb5c6f39fee8bdbd3c8a1614848125d9b"}');
INSERT INTO "events" VALUES(35,'video_8b74580f15714fada2076bea762c0dd6',1795284613124178,'rendered','{"cost_usd": "0.40"}');
INSERT INTO "events" VALUES(36,'video_8b74580f15714fada2076bea762c0dd6',1795284613141513,'finishing','{}');
INSERT INTO "events" VALUES(37,'video_c354c135f5e44897a8e0c28ef2573295',1795284613155906,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(38,'video_c354c135f5e44897a8e0c28ef2573295',1795284613161309,'submitting','{"attempt": 1}');
INSERT INTO "events" VALUES(39,'video_c354c135f5e44897a8e0c28ef2573295',1795284613168328,'accepted','{"attempt": 1, "remote_id": "video_4fe037ab65ce2195c7f720396b332aa812f397c876332887"}');
INSERT INTO "events" VALUES(40,'video_c354c135f5e44897a8e0c28ef2573295',1795284613224167,'rendered','{"cost_usd": "0.40"}');
INSERT INTO "events" VALUES(41,'video_c354c135f5e44897a8e0c28ef2573295',1795284613241456,'finishing','{}');
INSERT INTO "events" VALUES(42,'video_c354c135f5e44897a8e0c28ef2573295',1795284613283080,'completed','{"cost_usd": "0.40"}');
INSERT INTO "events" VALUES(43,'video_c95c877f820347be842c341b5c0dedfe',1795284613297228,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(44,'video_c95c877f820347be842c341b5c0dedfe',1795284613302364,'submitting','{"attempt": 1}');
INSERT INTO "events" VALUES(45,'video_c95c877f820347be842c341b5c0dedfe',1795284613309938,'doubt','{"attempt": 1, "message": "OpenAI: This is a fault made on purpose. (step create, HTTP 500, request req_8f8db4fec75107c3)"}');
INSERT INTO "events" VALUES(46,'video_c95c877f820347be842c341b5c0dedfe',1795284619315128,'needs_attention','{"message": "Nobody knows whether openai accepted this job (OpenAI: This is a fault made on purpose. (step create, HTTP 500, request req_8f8db4fec75107c3)): the provider does not tell the prompts of its jobs; ours may be one of video_f023011dae7be7a69ac9dd2d0e0ef08ee5d55ad06520543f, video_f5726df974dc040ff2ef6a178f3b5ebe5f7f79c98aeb0a42, or none. Decide with: rushes jobs resolve video_c95c877f820347be842c341b5c0dedfe --adopt REMOTE_ID, or --repay to pay again, or --never-billed to end it."}');
INSERT INTO "events" VALUES(47,'video_3aeed79b1f664287b7366fe770a252a9',1795284619318683,'queued','{"model": "openai:video:sora-2"}');
CREATE TABLE holds (
	job_id VARCHAR(40) NOT NULL, 
	owner VARCHAR(80) NOT NULL, 
	provider TEXT NOT NULL, 
	run VARCHAR(80), 
	day VARCHAR(10) NOT NULL, 
	held_usd BIGINT NOT NULL, 
	settled_usd BIGINT NOT NULL, 
	overrun_usd BIGINT NOT NULL, 
	unknown BOOLEAN NOT NULL, 
	at BIGINT NOT NULL, 
	CONSTRAINT pk_holds PRIMARY KEY (job_id), 
	CONSTRAINT fk_holds_job_id_jobs FOREIGN KEY(job_id) REFERENCES jobs (id)
);
INSERT INTO "holds" VALUES('video_af869dd0346c4bf29b324f2e4813da58','local','openai',NULL,'2026-11-21',400000,0,0,0,1795284612248043);
INSERT INTO "holds" VALUES('video_d9ec021e429d4148ac875801257bd6bc','local','openai',NULL,'2026-11-21',400000,0,0,0,1795284612262612);
INSERT INTO "holds" VALUES('video_7e452c636482412ca9c1a4ebe436e12b','local','openai',NULL,'2026-11-21',400000,0,0,0,1795284612281715);
INSERT INTO "holds" VALUES('video_41f2ce2a47ac41889ea9a2c28bf51017','local','openai',NULL,'2026-11-21',400000,0,0,0,1795284612300208);
INSERT INTO "holds" VALUES('video_12dd3df7b64344ea8938debf5e0a5e4b','local','openai',NULL,'2026-11-21',400000,0,0,0,1795284612350122);
INSERT INTO "holds" VALUES('video_cff6c551f99e4d76866708ecd659a48e','local','openai',NULL,'2026-11-21',400000,0,0,0,1795284612383300);
INSERT INTO "holds" VALUES('video_5252e4e68289420cb133ce3733513004','local','openai',NULL,'2026-11-21',400000,0,0,0,1795284612467515);
INSERT INTO "holds" VALUES('video_f728aba2a3c848678a54883de5e40f15','local','openai',NULL,'2026-11-21',400000,0,0,0,1795284612555027);
INSERT INTO "holds" VALUES('video_934f0eebf5f3414fbc6026612f3e4c59','local','openai',NULL,'2026-11-21',400000,0,0,0,1795284612643249);
INSERT INTO "holds" VALUES('video_d935c7836fb54c86bfe00668ec54e941','local','openai',NULL,'2026-11-21',400000,0,0,0,1795284612955768);
INSERT INTO "holds" VALUES('video_8b74580f15714fada2076bea762c0dd6','local','openai',NULL,'2026-11-21',400000,0,0,0,1795284613054090);
INSERT INTO "holds" VALUES('video_c354c135f5e44897a8e0c28ef2573295','local','openai',NULL,'2026-11-21',0,400000,0,0,1795284613283080);
INSERT INTO "holds" VALUES('video_c95c877f820347be842c341b5c0dedfe','local','openai',NULL,'2026-11-21',400000,0,0,0,1795284613297228);
INSERT INTO "holds" VALUES('video_3aeed79b1f664287b7366fe770a252a9','local','openai',NULL,'2026-11-21',400000,0,0,0,1795284619318683);
CREATE TABLE jobs (
	id VARCHAR(40) NOT NULL, 
	owner VARCHAR(80) NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	model TEXT NOT NULL, 
	provider TEXT DEFAULT '' NOT NULL, 
	asked_model TEXT NOT NULL, 
	prompt TEXT NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	flight VARCHAR(64), 
	slot INTEGER NOT NULL, 
	priority INTEGER NOT NULL, 
	run VARCHAR(80), 
	worker VARCHAR(40), 
	not_before BIGINT, 
	created_at BIGINT NOT NULL, 
	deadline BIGINT NOT NULL, 
	prepared_json TEXT NOT NULL, 
	routes_json TEXT, 
	route INTEGER NOT NULL, 
	source_video VARCHAR(40), 
	source_kind VARCHAR(10), 
	options_json TEXT NOT NULL, 
	estimate_usd BIGINT, 
	cost_usd BIGINT, 
	percent FLOAT NOT NULL, 
	cancel_requested BOOLEAN NOT NULL, 
	cached_from VARCHAR(40), 
	adopted_from VARCHAR(40), 
	failure_code TEXT, 
	failure_message TEXT, 
	trouble TEXT, 
	started_at BIGINT, 
	completed_at BIGINT, 
	deleted_at BIGINT, 
	CONSTRAINT pk_jobs PRIMARY KEY (id)
);
INSERT INTO "jobs" VALUES('video_af869dd0346c4bf29b324f2e4813da58','local','queued','openai:video:sora-2','openai','openai:video:sora-2','Left at job.admitted','aa4c855cd3d49831523651be747f93007512ed24ab731bd4e5f4f5007dcd9709','aa4c855cd3d49831523651be747f93007512ed24ab731bd4e5f4f5007dcd9709',0,0,NULL,NULL,NULL,1795284612248043,1795457412248043,'{"request":{"prompt":"Left at job.admitted","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true,"terms":{"limits":[],"allow_unknown_price":false,"unknown_price_hold_usd":null}}',400000,NULL,0.0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('video_d9ec021e429d4148ac875801257bd6bc','local','submitting','openai:video:sora-2','openai','openai:video:sora-2','Left at attempt.intended','bcdcbf16a7e916274b98f7e4cd69f8f52950e80b1562c38a6386095c45730d0f','bcdcbf16a7e916274b98f7e4cd69f8f52950e80b1562c38a6386095c45730d0f',0,0,NULL,NULL,NULL,1795284612262612,1795457412262612,'{"request":{"prompt":"Left at attempt.intended","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true,"terms":{"limits":[],"allow_unknown_price":false,"unknown_price_hold_usd":null}}',400000,NULL,0.0,0,NULL,NULL,NULL,NULL,NULL,1795284612269067,NULL,NULL);
INSERT INTO "jobs" VALUES('video_7e452c636482412ca9c1a4ebe436e12b','local','submitting','openai:video:sora-2','openai','openai:video:sora-2','Left at attempt.sending','8e0abb82295b55a86226f532ab736624f2d24cffb51d7df802972a0d9e6dccb7','8e0abb82295b55a86226f532ab736624f2d24cffb51d7df802972a0d9e6dccb7',0,0,NULL,NULL,NULL,1795284612281715,1795457412281715,'{"request":{"prompt":"Left at attempt.sending","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true,"terms":{"limits":[],"allow_unknown_price":false,"unknown_price_hold_usd":null}}',400000,NULL,0.0,0,NULL,NULL,NULL,NULL,NULL,1795284612286820,NULL,NULL);
INSERT INTO "jobs" VALUES('video_41f2ce2a47ac41889ea9a2c28bf51017','local','submitting','openai:video:sora-2','openai','openai:video:sora-2','Left at attempt.answered','31afa5117917bc192b03a26c2dcc20cdf39af1dcf523debf8f4eae3b20a27cbc','31afa5117917bc192b03a26c2dcc20cdf39af1dcf523debf8f4eae3b20a27cbc',0,0,NULL,NULL,NULL,1795284612300208,1795457412300208,'{"request":{"prompt":"Left at attempt.answered","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true,"terms":{"limits":[],"allow_unknown_price":false,"unknown_price_hold_usd":null}}',400000,NULL,0.0,0,NULL,NULL,NULL,NULL,NULL,1795284612305304,NULL,NULL);
INSERT INTO "jobs" VALUES('video_12dd3df7b64344ea8938debf5e0a5e4b','local','in_progress','openai:video:sora-2','openai','openai:video:sora-2','Left at attempt.recorded','a10a480012ee17cf122c021fdc08f0a753881b24715b82d79e3169fff08898ce','a10a480012ee17cf122c021fdc08f0a753881b24715b82d79e3169fff08898ce',0,0,NULL,NULL,NULL,1795284612350122,1795457412350122,'{"request":{"prompt":"Left at attempt.recorded","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true,"terms":{"limits":[],"allow_unknown_price":false,"unknown_price_hold_usd":null}}',400000,NULL,0.0,0,NULL,NULL,NULL,NULL,NULL,1795284612356924,NULL,NULL);
INSERT INTO "jobs" VALUES('video_cff6c551f99e4d76866708ecd659a48e','local','in_progress','openai:video:sora-2','openai','openai:video:sora-2','Left at poll.answered','4fa1afdb06c00a9646152b52815666a0ddab2b775dc7fe55f11916384c396803','4fa1afdb06c00a9646152b52815666a0ddab2b775dc7fe55f11916384c396803',0,0,NULL,NULL,NULL,1795284612383300,1795457412383300,'{"request":{"prompt":"Left at poll.answered","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true,"terms":{"limits":[],"allow_unknown_price":false,"unknown_price_hold_usd":null}}',400000,NULL,0.0,0,NULL,NULL,NULL,NULL,NULL,1795284612389167,NULL,NULL);
INSERT INTO "jobs" VALUES('video_5252e4e68289420cb133ce3733513004','local','downloading','openai:video:sora-2','openai','openai:video:sora-2','Left at job.rendered','e3d2dbc71aa720b7f10d8c985c3c327fa6e458f59f053cb0ea465cc5ec797b9d','e3d2dbc71aa720b7f10d8c985c3c327fa6e458f59f053cb0ea465cc5ec797b9d',0,0,NULL,NULL,NULL,1795284612467515,1795457412467515,'{"request":{"prompt":"Left at job.rendered","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true,"terms":{"limits":[],"allow_unknown_price":false,"unknown_price_hold_usd":null}}',400000,400000,100.0,0,NULL,NULL,NULL,NULL,NULL,1795284612474171,NULL,NULL);
INSERT INTO "jobs" VALUES('video_f728aba2a3c848678a54883de5e40f15','local','downloading','openai:video:sora-2','openai','openai:video:sora-2','Left at download.complete','2d79d4c6992e033f20ce3589734b34b1d32f56e70b89c53a69c1c1f047678213','2d79d4c6992e033f20ce3589734b34b1d32f56e70b89c53a69c1c1f047678213',0,0,NULL,NULL,NULL,1795284612555027,1795457412555027,'{"request":{"prompt":"Left at download.complete","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true,"terms":{"limits":[],"allow_unknown_price":false,"unknown_price_hold_usd":null}}',400000,400000,100.0,0,NULL,NULL,NULL,NULL,NULL,1795284612560615,NULL,NULL);
INSERT INTO "jobs" VALUES('video_934f0eebf5f3414fbc6026612f3e4c59','local','finishing','openai:video:sora-2','openai','openai:video:sora-2','Left at download.published','bb5b4b6b92811206a715d695a7e63ecdeb2431b77c678538da25c2a75525aea1','bb5b4b6b92811206a715d695a7e63ecdeb2431b77c678538da25c2a75525aea1',0,0,NULL,NULL,NULL,1795284612643249,1795457412643249,'{"request":{"prompt":"Left at download.published","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true,"terms":{"limits":[],"allow_unknown_price":false,"unknown_price_hold_usd":null}}',400000,400000,100.0,0,NULL,NULL,NULL,NULL,NULL,1795284612648345,NULL,NULL);
INSERT INTO "jobs" VALUES('video_d935c7836fb54c86bfe00668ec54e941','local','finishing','openai:video:sora-2','openai','openai:video:sora-2','Left at download.marked','26b87c99f1d8b33f1f509f867b3c8c5315a77b04a3db5ef44df4d54f3194bd80','26b87c99f1d8b33f1f509f867b3c8c5315a77b04a3db5ef44df4d54f3194bd80',0,0,NULL,NULL,NULL,1795284612955768,1795457412955768,'{"request":{"prompt":"Left at download.marked","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true,"terms":{"limits":[],"allow_unknown_price":false,"unknown_price_hold_usd":null}}',400000,400000,100.0,0,NULL,NULL,NULL,NULL,NULL,1795284612960809,NULL,NULL);
INSERT INTO "jobs" VALUES('video_8b74580f15714fada2076bea762c0dd6','local','finishing','openai:video:sora-2','openai','openai:video:sora-2','Left at download.recorded','e543faa185ed1873a41ba1ecad805778b852669b8a69700569cfe7883b17d550','e543faa185ed1873a41ba1ecad805778b852669b8a69700569cfe7883b17d550',0,0,NULL,NULL,NULL,1795284613054090,1795457413054090,'{"request":{"prompt":"Left at download.recorded","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true,"terms":{"limits":[],"allow_unknown_price":false,"unknown_price_hold_usd":null}}',400000,400000,100.0,0,NULL,NULL,NULL,NULL,NULL,1795284613060832,NULL,NULL);
INSERT INTO "jobs" VALUES('video_c354c135f5e44897a8e0c28ef2573295','local','completed','openai:video:sora-2','openai','openai:video:sora-2','Left at job.completed','81325159ce4818f7e892486f36cf8292ce386646fc23f8c2dea3965614c6e1f5','81325159ce4818f7e892486f36cf8292ce386646fc23f8c2dea3965614c6e1f5',0,0,NULL,NULL,NULL,1795284613155906,1795457413155906,'{"request":{"prompt":"Left at job.completed","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true,"terms":{"limits":[],"allow_unknown_price":false,"unknown_price_hold_usd":null}}',400000,400000,100.0,0,NULL,NULL,NULL,NULL,NULL,1795284613161309,1795284613283080,NULL);
INSERT INTO "jobs" VALUES('video_c95c877f820347be842c341b5c0dedfe','local','needs_attention','openai:video:sora-2','openai','openai:video:sora-2','Left in need of a person','8b9a548748bb7e85eb9def5cedbe2d8a060041ba9285a60abfb6e67b10764759','8b9a548748bb7e85eb9def5cedbe2d8a060041ba9285a60abfb6e67b10764759',0,0,NULL,NULL,NULL,1795284613297228,1795457413297228,'{"request":{"prompt":"Left in need of a person","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true,"terms":{"limits":[],"allow_unknown_price":false,"unknown_price_hold_usd":null}}',400000,NULL,0.0,0,NULL,NULL,NULL,NULL,'Nobody knows whether openai accepted this job (OpenAI: This is a fault made on purpose. (step create, HTTP 500, request req_8f8db4fec75107c3)): the provider does not tell the prompts of its jobs; ours may be one of video_f023011dae7be7a69ac9dd2d0e0ef08ee5d55ad06520543f, video_f5726df974dc040ff2ef6a178f3b5ebe5f7f79c98aeb0a42, or none. Decide with: rushes jobs resolve video_c95c877f820347be842c341b5c0dedfe --adopt REMOTE_ID, or --repay to pay again, or --never-billed to end it.',1795284613302364,NULL,NULL);
INSERT INTO "jobs" VALUES('video_3aeed79b1f664287b7366fe770a252a9','local','queued','openai:video:sora-2','openai','openai:video:sora-2','Left waiting','1883c1f8ac61bc359880edb17c57c1f2c1622326a203dada0b2193a9cf4187de','1883c1f8ac61bc359880edb17c57c1f2c1622326a203dada0b2193a9cf4187de',0,0,NULL,NULL,NULL,1795284619318683,1795457419318683,'{"request":{"prompt":"Left waiting","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true,"terms":{"limits":[],"allow_unknown_price":false,"unknown_price_hold_usd":null}}',400000,NULL,0.0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE lanes (
	provider TEXT NOT NULL, 
	jobs_learnt INTEGER, 
	learnt_at BIGINT, 
	resume_at BIGINT, 
	CONSTRAINT pk_lanes PRIMARY KEY (provider)
);
CREATE TABLE tags (
	job_id VARCHAR(40) NOT NULL, 
	tag VARCHAR(80) NOT NULL, 
	CONSTRAINT pk_tags PRIMARY KEY (job_id, tag), 
	CONSTRAINT fk_tags_job_id_jobs FOREIGN KEY(job_id) REFERENCES jobs (id)
);
CREATE TABLE videos (
	id VARCHAR(40) NOT NULL, 
	job_id VARCHAR(40) NOT NULL, 
	n INTEGER NOT NULL, 
	stored_under VARCHAR(40), 
	format TEXT, 
	width INTEGER, 
	height INTEGER, 
	seconds FLOAT, 
	fps TEXT, 
	has_audio BOOLEAN, 
	sha256 VARCHAR(64), 
	size_bytes BIGINT, 
	created_at BIGINT, 
	gone_at BIGINT, 
	CONSTRAINT pk_videos PRIMARY KEY (id), 
	CONSTRAINT uq_videos_job_id_n UNIQUE (job_id, n), 
	CONSTRAINT fk_videos_job_id_jobs FOREIGN KEY(job_id) REFERENCES jobs (id)
);
INSERT INTO "videos" VALUES('video_af869dd0346c4bf29b324f2e4813da58','video_af869dd0346c4bf29b324f2e4813da58',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "videos" VALUES('video_d9ec021e429d4148ac875801257bd6bc','video_d9ec021e429d4148ac875801257bd6bc',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "videos" VALUES('video_7e452c636482412ca9c1a4ebe436e12b','video_7e452c636482412ca9c1a4ebe436e12b',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "videos" VALUES('video_41f2ce2a47ac41889ea9a2c28bf51017','video_41f2ce2a47ac41889ea9a2c28bf51017',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "videos" VALUES('video_12dd3df7b64344ea8938debf5e0a5e4b','video_12dd3df7b64344ea8938debf5e0a5e4b',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "videos" VALUES('video_cff6c551f99e4d76866708ecd659a48e','video_cff6c551f99e4d76866708ecd659a48e',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "videos" VALUES('video_5252e4e68289420cb133ce3733513004','video_5252e4e68289420cb133ce3733513004',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "videos" VALUES('video_f728aba2a3c848678a54883de5e40f15','video_f728aba2a3c848678a54883de5e40f15',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "videos" VALUES('video_934f0eebf5f3414fbc6026612f3e4c59','video_934f0eebf5f3414fbc6026612f3e4c59',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "videos" VALUES('video_d935c7836fb54c86bfe00668ec54e941','video_d935c7836fb54c86bfe00668ec54e941',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "videos" VALUES('video_8b74580f15714fada2076bea762c0dd6','video_8b74580f15714fada2076bea762c0dd6',0,'video_8b74580f15714fada2076bea762c0dd6','mp4',1280,720,4.0,'10',1,'50a3c2e1737a0d110efe32b3af242ff8bfbd4f0219d862ce6ff28149710ea90a',84725,1795284613143839,NULL);
INSERT INTO "videos" VALUES('video_c354c135f5e44897a8e0c28ef2573295','video_c354c135f5e44897a8e0c28ef2573295',0,'video_c354c135f5e44897a8e0c28ef2573295','mp4',1280,720,4.0,'10',1,'50a3c2e1737a0d110efe32b3af242ff8bfbd4f0219d862ce6ff28149710ea90a',84725,1795284613243879,NULL);
INSERT INTO "videos" VALUES('video_c95c877f820347be842c341b5c0dedfe','video_c95c877f820347be842c341b5c0dedfe',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "videos" VALUES('video_3aeed79b1f664287b7366fe770a252a9','video_3aeed79b1f664287b7366fe770a252a9',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE workers (
	id VARCHAR(40) NOT NULL, 
	host TEXT NOT NULL, 
	pid INTEGER NOT NULL, 
	version VARCHAR(40) NOT NULL, 
	started_at BIGINT NOT NULL, 
	CONSTRAINT pk_workers PRIMARY KEY (id)
);
CREATE INDEX ix_jobs_lane ON jobs (state, provider, worker, owner, priority, created_at, id, cancel_requested, not_before);
CREATE INDEX ix_jobs_newest ON jobs (owner, created_at);
CREATE INDEX ix_jobs_finished ON jobs (owner, fingerprint, completed_at);
CREATE UNIQUE INDEX uq_jobs_in_flight ON jobs (owner, flight) WHERE state IN ('downloading', 'finishing', 'in_progress', 'needs_attention', 'queued', 'submitting');
CREATE INDEX ix_jobs_worker ON jobs (worker, state);
CREATE INDEX ix_jobs_state ON jobs (state);
CREATE INDEX ix_jobs_source ON jobs (source_video);
CREATE INDEX ix_characters_owner ON characters (owner, created_at);
CREATE INDEX ix_events_job_id ON events (job_id, id);
CREATE INDEX ix_attempts_account_state ON attempts (account, state);
CREATE INDEX ix_tags_tag ON tags (tag);
CREATE INDEX ix_holds_owner ON holds (owner, day);
CREATE INDEX ix_holds_provider ON holds (provider, day);
CREATE INDEX ix_holds_day ON holds (day);
CREATE INDEX ix_holds_run ON holds (run);
COMMIT;
