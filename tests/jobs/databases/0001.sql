BEGIN TRANSACTION;
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
INSERT INTO "alembic_version" VALUES('0001');
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
INSERT INTO "assets" VALUES('video_284ce902fe4240f3a181c9daf7e8d67c','manifest','6c5994f28a1c91e58a29f83402c6da25069e3c8c63327fc83afb51b5d4907907',3709,'application/c2pa','us');
INSERT INTO "assets" VALUES('video_582caac423a049e98b34fa5bb5d79542','manifest','cdf9548a539cb161717900f0ccd11816ac60b0ff9fd3ef63bba6900148ad4b3f',3709,'application/c2pa','us');
INSERT INTO "assets" VALUES('video_582caac423a049e98b34fa5bb5d79542','thumbnail','fcd1d8696a49ae9d07b4e30728d3969328401399eed87de0ee96069f5e0a1fe6',352,'image/webp','provider');
INSERT INTO "assets" VALUES('video_582caac423a049e98b34fa5bb5d79542','spritesheet','27983a45a6fb1ed935335d46d54019bf9b80b6b9203b218c74345e6043c84882',8337,'image/jpeg','provider');
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
INSERT INTO "attempts" VALUES('video_6b27fd30e5c84b688e7bf9bc9af09d63',1,'openai','openai@127.0.0.1:0#de5016a9d353','openai:video:sora-2','intent','video_6b27fd30e5c84b688e7bf9bc9af09d63-1','d5ad930a5d748bae78de2df4a94e25e1da89e6ba6ec74a373b9b6156bd971581',1795274911590543,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "attempts" VALUES('video_383c2347a1c44c69b5cad51d4e414375',1,'openai','openai@127.0.0.1:0#de5016a9d353','openai:video:sora-2','sending','video_383c2347a1c44c69b5cad51d4e414375-1','875e0f6375909f8e1e946043af4be17e2f5b2d989e80797bbdfa3d9ffa1c69f7',1795274911642426,1795274911646939,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "attempts" VALUES('video_798284af17b54cef8f4a16641cd5063c',1,'openai','openai@127.0.0.1:0#de5016a9d353','openai:video:sora-2','sending','video_798284af17b54cef8f4a16641cd5063c-1','b3c6c052f0d71ec35a43a7b2315f8706bed217a3537676eca03c892fbc0ccae0',1795274911754612,1795274911764433,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "attempts" VALUES('video_d74de01af86d42f7b17a8547b1ea53ca',1,'openai','openai@127.0.0.1:0#de5016a9d353','openai:video:sora-2','created','video_d74de01af86d42f7b17a8547b1ea53ca-1','034e8ce3cbbddcca7c91653d0f2e643ac7e0fd34be6ea7db97c81df93461b634',1795274911901708,1795274911913047,1795274911927533,NULL,'video_0c7653fe7bd41bd88377aa30a9860f763285c315c3c4a13e','{}',1795278511000000,NULL,NULL,NULL,0);
INSERT INTO "attempts" VALUES('video_c41ac4146dd24995969e972375b00895',1,'openai','openai@127.0.0.1:0#de5016a9d353','openai:video:sora-2','created','video_c41ac4146dd24995969e972375b00895-1','4bfa87f74af8544a9611f9575d136c199ecac41109b9bc673a792f172f044a26',1795274912004431,1795274912014870,1795274912108865,NULL,'video_3a49645f80d3906055081cf35ea4785d8ec9fe46f422fe48','{}',1795278512000000,NULL,NULL,NULL,0);
INSERT INTO "attempts" VALUES('video_ed962cde66f4403fafae3beb27fdf997',1,'openai','openai@127.0.0.1:0#de5016a9d353','openai:video:sora-2','ended','video_ed962cde66f4403fafae3beb27fdf997-1','891639129f4c65859e33654c4ddb3f189f2ff0895c429fea1f77267fe5bd3583',1795274912292432,1795274912309395,1795274912353780,1795274912422252,'video_d9eeacc75c5f5667681ecf739efd090466870669636490b5','{}',1795278512000000,400000,NULL,NULL,0);
INSERT INTO "attempts" VALUES('video_751aadf1fe1c49baba4ff677899b17e8',1,'openai','openai@127.0.0.1:0#de5016a9d353','openai:video:sora-2','ended','video_751aadf1fe1c49baba4ff677899b17e8-1','06e0591e37f3e81ef01880080d535736fd63b277f2c3555a4614a8c080a7d740',1795274912494839,1795274912502415,1795274912510702,1795274912579257,'video_71ce07d15d64f0c1f7be392a68898a83e42d177ce4325a02','{}',1795278512000000,400000,NULL,NULL,0);
INSERT INTO "attempts" VALUES('video_55aaf0d5cfff48df8e38ac040005b80d',1,'openai','openai@127.0.0.1:0#de5016a9d353','openai:video:sora-2','ended','video_55aaf0d5cfff48df8e38ac040005b80d-1','3e61c66daddedcb2fd749ec9831921bc130acb153bf91b858a3f778af29594d7',1795274912674031,1795274912680090,1795274912687673,1795274912754392,'video_252f534254a56f6342d36ef47a6ba9a9e637259cbbee54d5','{}',1795278512000000,400000,NULL,NULL,0);
INSERT INTO "attempts" VALUES('video_6e5639cb6972401c8a6c0b42d447872b',1,'openai','openai@127.0.0.1:0#de5016a9d353','openai:video:sora-2','ended','video_6e5639cb6972401c8a6c0b42d447872b-1','08da843c45215c0892f82ca8d12dc37cc1756aee788fc6f7f6f46350db8c264a',1795274913398735,1795274913402778,1795274913425420,1795274913485480,'video_78af3eb44dbce9486800e655adb14c907d8d4eff154c0a77','{}',1795278513000000,400000,NULL,NULL,0);
INSERT INTO "attempts" VALUES('video_284ce902fe4240f3a181c9daf7e8d67c',1,'openai','openai@127.0.0.1:0#de5016a9d353','openai:video:sora-2','ended','video_284ce902fe4240f3a181c9daf7e8d67c-1','ac632a955bc97f660b575bed466425e787ebee574f9a96f7568fad5544c26ec5',1795274913595186,1795274913608962,1795274913629947,1795274913698501,'video_e2469e6019db26ad4b4772974c7f7aab3b217e7cac081e89','{}',1795278513000000,400000,NULL,NULL,0);
INSERT INTO "attempts" VALUES('video_582caac423a049e98b34fa5bb5d79542',1,'openai','openai@127.0.0.1:0#de5016a9d353','openai:video:sora-2','ended','video_582caac423a049e98b34fa5bb5d79542-1','90668efc46c99179eca25729e5e7f17bca3d1cf770f626d2ed8f7aba8d1915f9',1795274914086774,1795274914105497,1795274914138859,1795274914214058,'video_b422139a167d3933585bfc41a34a2c93103b1c163a954c53','{}',1795278514000000,400000,NULL,NULL,0);
INSERT INTO "attempts" VALUES('video_ed97c287ed8949bb9d623c166027d9d2',1,'openai','openai@127.0.0.1:0#de5016a9d353','openai:video:sora-2','unknown','video_ed97c287ed8949bb9d623c166027d9d2-1','39f1af4193843edbbfdc6e0470c85cda99654f485525d6c689ab9c7c057d57ff',1795274914601068,1795274914621715,NULL,NULL,NULL,NULL,NULL,NULL,'provider_unavailable','OpenAI: This is a fault made on purpose. (step create, HTTP 500, request req_79c9e46179e2cd88)',0);
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
INSERT INTO "events" VALUES(1,'video_ce5bc1f46abd40c3b6d60d1763a08a7c',1795274911462586,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(2,'video_6b27fd30e5c84b688e7bf9bc9af09d63',1795274911573991,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(3,'video_6b27fd30e5c84b688e7bf9bc9af09d63',1795274911590543,'submitting','{"attempt": 1}');
INSERT INTO "events" VALUES(4,'video_383c2347a1c44c69b5cad51d4e414375',1795274911630585,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(5,'video_383c2347a1c44c69b5cad51d4e414375',1795274911642426,'submitting','{"attempt": 1}');
INSERT INTO "events" VALUES(6,'video_798284af17b54cef8f4a16641cd5063c',1795274911711212,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(7,'video_798284af17b54cef8f4a16641cd5063c',1795274911754612,'submitting','{"attempt": 1}');
INSERT INTO "events" VALUES(8,'video_d74de01af86d42f7b17a8547b1ea53ca',1795274911878376,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(9,'video_d74de01af86d42f7b17a8547b1ea53ca',1795274911901708,'submitting','{"attempt": 1}');
INSERT INTO "events" VALUES(10,'video_d74de01af86d42f7b17a8547b1ea53ca',1795274911927533,'accepted','{"attempt": 1, "remote_id": "video_0c7653fe7bd41bd88377aa30a9860f763285c315c3c4a13e"}');
INSERT INTO "events" VALUES(11,'video_c41ac4146dd24995969e972375b00895',1795274911969422,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(12,'video_c41ac4146dd24995969e972375b00895',1795274912004431,'submitting','{"attempt": 1}');
INSERT INTO "events" VALUES(13,'video_c41ac4146dd24995969e972375b00895',1795274912108865,'accepted','{"attempt": 1, "remote_id": "video_3a49645f80d3906055081cf35ea4785d8ec9fe46f422fe48"}');
INSERT INTO "events" VALUES(14,'video_ed962cde66f4403fafae3beb27fdf997',1795274912280926,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(15,'video_ed962cde66f4403fafae3beb27fdf997',1795274912292432,'submitting','{"attempt": 1}');
INSERT INTO "events" VALUES(16,'video_ed962cde66f4403fafae3beb27fdf997',1795274912353780,'accepted','{"attempt": 1, "remote_id": "video_d9eeacc75c5f5667681ecf739efd090466870669636490b5"}');
INSERT INTO "events" VALUES(17,'video_ed962cde66f4403fafae3beb27fdf997',1795274912422252,'rendered','{"cost_usd": "0.40"}');
INSERT INTO "events" VALUES(18,'video_751aadf1fe1c49baba4ff677899b17e8',1795274912460858,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(19,'video_751aadf1fe1c49baba4ff677899b17e8',1795274912494839,'submitting','{"attempt": 1}');
INSERT INTO "events" VALUES(20,'video_751aadf1fe1c49baba4ff677899b17e8',1795274912510702,'accepted','{"attempt": 1, "remote_id": "video_71ce07d15d64f0c1f7be392a68898a83e42d177ce4325a02"}');
INSERT INTO "events" VALUES(21,'video_751aadf1fe1c49baba4ff677899b17e8',1795274912579257,'rendered','{"cost_usd": "0.40"}');
INSERT INTO "events" VALUES(22,'video_55aaf0d5cfff48df8e38ac040005b80d',1795274912635918,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(23,'video_55aaf0d5cfff48df8e38ac040005b80d',1795274912674031,'submitting','{"attempt": 1}');
INSERT INTO "events" VALUES(24,'video_55aaf0d5cfff48df8e38ac040005b80d',1795274912687673,'accepted','{"attempt": 1, "remote_id": "video_252f534254a56f6342d36ef47a6ba9a9e637259cbbee54d5"}');
INSERT INTO "events" VALUES(25,'video_55aaf0d5cfff48df8e38ac040005b80d',1795274912754392,'rendered','{"cost_usd": "0.40"}');
INSERT INTO "events" VALUES(26,'video_55aaf0d5cfff48df8e38ac040005b80d',1795274913325407,'finishing','{}');
INSERT INTO "events" VALUES(27,'video_6e5639cb6972401c8a6c0b42d447872b',1795274913388621,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(28,'video_6e5639cb6972401c8a6c0b42d447872b',1795274913398735,'submitting','{"attempt": 1}');
INSERT INTO "events" VALUES(29,'video_6e5639cb6972401c8a6c0b42d447872b',1795274913425420,'accepted','{"attempt": 1, "remote_id": "video_78af3eb44dbce9486800e655adb14c907d8d4eff154c0a77"}');
INSERT INTO "events" VALUES(30,'video_6e5639cb6972401c8a6c0b42d447872b',1795274913485480,'rendered','{"cost_usd": "0.40"}');
INSERT INTO "events" VALUES(31,'video_6e5639cb6972401c8a6c0b42d447872b',1795274913527074,'finishing','{}');
INSERT INTO "events" VALUES(32,'video_284ce902fe4240f3a181c9daf7e8d67c',1795274913572972,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(33,'video_284ce902fe4240f3a181c9daf7e8d67c',1795274913595186,'submitting','{"attempt": 1}');
INSERT INTO "events" VALUES(34,'video_284ce902fe4240f3a181c9daf7e8d67c',1795274913629947,'accepted','{"attempt": 1, "remote_id": "video_e2469e6019db26ad4b4772974c7f7aab3b217e7cac081e89"}');
INSERT INTO "events" VALUES(35,'video_284ce902fe4240f3a181c9daf7e8d67c',1795274913698501,'rendered','{"cost_usd": "0.40"}');
INSERT INTO "events" VALUES(36,'video_284ce902fe4240f3a181c9daf7e8d67c',1795274913742219,'finishing','{}');
INSERT INTO "events" VALUES(37,'video_582caac423a049e98b34fa5bb5d79542',1795274914063419,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(38,'video_582caac423a049e98b34fa5bb5d79542',1795274914086774,'submitting','{"attempt": 1}');
INSERT INTO "events" VALUES(39,'video_582caac423a049e98b34fa5bb5d79542',1795274914138859,'accepted','{"attempt": 1, "remote_id": "video_b422139a167d3933585bfc41a34a2c93103b1c163a954c53"}');
INSERT INTO "events" VALUES(40,'video_582caac423a049e98b34fa5bb5d79542',1795274914214058,'rendered','{"cost_usd": "0.40"}');
INSERT INTO "events" VALUES(41,'video_582caac423a049e98b34fa5bb5d79542',1795274914274851,'finishing','{}');
INSERT INTO "events" VALUES(42,'video_582caac423a049e98b34fa5bb5d79542',1795274914531678,'completed','{"cost_usd": "0.40"}');
INSERT INTO "events" VALUES(43,'video_ed97c287ed8949bb9d623c166027d9d2',1795274914587608,'queued','{"model": "openai:video:sora-2"}');
INSERT INTO "events" VALUES(44,'video_ed97c287ed8949bb9d623c166027d9d2',1795274914601068,'submitting','{"attempt": 1}');
INSERT INTO "events" VALUES(45,'video_ed97c287ed8949bb9d623c166027d9d2',1795274914658899,'doubt','{"attempt": 1, "message": "OpenAI: This is a fault made on purpose. (step create, HTTP 500, request req_79c9e46179e2cd88)"}');
INSERT INTO "events" VALUES(46,'video_ed97c287ed8949bb9d623c166027d9d2',1795274920635461,'needs_attention','{"message": "Nobody knows whether openai accepted this job (OpenAI: This is a fault made on purpose. (step create, HTTP 500, request req_79c9e46179e2cd88)): the provider does not tell the prompts of its jobs; ours may be one of video_379b1b52aa87dbd4ab41d98c3f01bef7cfd0105f462972da, video_6f316373c6d033647ead4456f425c0b62f201ca29591ad95, or none. Decide with: rushes jobs resolve video_ed97c287ed8949bb9d623c166027d9d2 --adopt REMOTE_ID, or --repay to pay again."}');
INSERT INTO "events" VALUES(47,'video_cd201226e6b943c39e04d7dd5d5c924d',1795274920637522,'queued','{"model": "openai:video:sora-2"}');
CREATE TABLE holds (
	job_id VARCHAR(40) NOT NULL, 
	held_usd BIGINT, 
	settled_usd BIGINT, 
	state VARCHAR(20) NOT NULL, 
	at BIGINT NOT NULL, 
	CONSTRAINT pk_holds PRIMARY KEY (job_id), 
	CONSTRAINT fk_holds_job_id_jobs FOREIGN KEY(job_id) REFERENCES jobs (id)
);
INSERT INTO "holds" VALUES('video_ce5bc1f46abd40c3b6d60d1763a08a7c',400000,NULL,'held',1795274911462586);
INSERT INTO "holds" VALUES('video_6b27fd30e5c84b688e7bf9bc9af09d63',400000,NULL,'held',1795274911573991);
INSERT INTO "holds" VALUES('video_383c2347a1c44c69b5cad51d4e414375',400000,NULL,'held',1795274911630585);
INSERT INTO "holds" VALUES('video_798284af17b54cef8f4a16641cd5063c',400000,NULL,'held',1795274911711212);
INSERT INTO "holds" VALUES('video_d74de01af86d42f7b17a8547b1ea53ca',400000,NULL,'held',1795274911878376);
INSERT INTO "holds" VALUES('video_c41ac4146dd24995969e972375b00895',400000,NULL,'held',1795274911969422);
INSERT INTO "holds" VALUES('video_ed962cde66f4403fafae3beb27fdf997',400000,NULL,'held',1795274912280926);
INSERT INTO "holds" VALUES('video_751aadf1fe1c49baba4ff677899b17e8',400000,NULL,'held',1795274912460858);
INSERT INTO "holds" VALUES('video_55aaf0d5cfff48df8e38ac040005b80d',400000,NULL,'held',1795274912635918);
INSERT INTO "holds" VALUES('video_6e5639cb6972401c8a6c0b42d447872b',400000,NULL,'held',1795274913388621);
INSERT INTO "holds" VALUES('video_284ce902fe4240f3a181c9daf7e8d67c',400000,NULL,'held',1795274913572972);
INSERT INTO "holds" VALUES('video_582caac423a049e98b34fa5bb5d79542',400000,400000,'settled',1795274914531678);
INSERT INTO "holds" VALUES('video_ed97c287ed8949bb9d623c166027d9d2',400000,NULL,'held',1795274914587608);
INSERT INTO "holds" VALUES('video_cd201226e6b943c39e04d7dd5d5c924d',400000,NULL,'held',1795274920637522);
CREATE TABLE jobs (
	id VARCHAR(40) NOT NULL, 
	owner VARCHAR(80) NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	model TEXT NOT NULL, 
	asked_model TEXT NOT NULL, 
	prompt TEXT NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	flight VARCHAR(64), 
	slot INTEGER NOT NULL, 
	priority INTEGER NOT NULL, 
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
INSERT INTO "jobs" VALUES('video_ce5bc1f46abd40c3b6d60d1763a08a7c','local','queued','openai:video:sora-2','openai:video:sora-2','Left at job.admitted','a55dd6173d105730f0c6f6b17720e2aea4657ac66696e81b451aa314fde00c0c','a55dd6173d105730f0c6f6b17720e2aea4657ac66696e81b451aa314fde00c0c',0,0,1795274911462586,1795447711462586,'{"request":{"prompt":"Left at job.admitted","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true}',400000,NULL,0.0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('video_6b27fd30e5c84b688e7bf9bc9af09d63','local','submitting','openai:video:sora-2','openai:video:sora-2','Left at attempt.intended','0a7245eb0719ff11e53f8a641cdbe709a1d5f111a6ec8573e2d5b6671bc75b5a','0a7245eb0719ff11e53f8a641cdbe709a1d5f111a6ec8573e2d5b6671bc75b5a',0,0,1795274911573991,1795447711573991,'{"request":{"prompt":"Left at attempt.intended","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true}',400000,NULL,0.0,0,NULL,NULL,NULL,NULL,NULL,1795274911590543,NULL,NULL);
INSERT INTO "jobs" VALUES('video_383c2347a1c44c69b5cad51d4e414375','local','submitting','openai:video:sora-2','openai:video:sora-2','Left at attempt.sending','89121b0ec96494346e3eec6a21bec6805f1798d441a1dd8b643a79f8543fb267','89121b0ec96494346e3eec6a21bec6805f1798d441a1dd8b643a79f8543fb267',0,0,1795274911630585,1795447711630585,'{"request":{"prompt":"Left at attempt.sending","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true}',400000,NULL,0.0,0,NULL,NULL,NULL,NULL,NULL,1795274911642426,NULL,NULL);
INSERT INTO "jobs" VALUES('video_798284af17b54cef8f4a16641cd5063c','local','submitting','openai:video:sora-2','openai:video:sora-2','Left at attempt.answered','a4d147af5b084ef38156d9488df76eada313e2d4175402cb57312e14fc2ad26f','a4d147af5b084ef38156d9488df76eada313e2d4175402cb57312e14fc2ad26f',0,0,1795274911711212,1795447711711212,'{"request":{"prompt":"Left at attempt.answered","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true}',400000,NULL,0.0,0,NULL,NULL,NULL,NULL,NULL,1795274911754612,NULL,NULL);
INSERT INTO "jobs" VALUES('video_d74de01af86d42f7b17a8547b1ea53ca','local','in_progress','openai:video:sora-2','openai:video:sora-2','Left at attempt.recorded','bba27bd0c09c431ed948e847a832982978d9c9a6f7efa78f670fc894f5e08288','bba27bd0c09c431ed948e847a832982978d9c9a6f7efa78f670fc894f5e08288',0,0,1795274911878376,1795447711878376,'{"request":{"prompt":"Left at attempt.recorded","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true}',400000,NULL,0.0,0,NULL,NULL,NULL,NULL,NULL,1795274911901708,NULL,NULL);
INSERT INTO "jobs" VALUES('video_c41ac4146dd24995969e972375b00895','local','in_progress','openai:video:sora-2','openai:video:sora-2','Left at poll.answered','7216e2cf921f45780b57c29fd43f0e6a0edcdf9272be0090440bfe8086bf3009','7216e2cf921f45780b57c29fd43f0e6a0edcdf9272be0090440bfe8086bf3009',0,0,1795274911969422,1795447711969422,'{"request":{"prompt":"Left at poll.answered","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true}',400000,NULL,0.0,0,NULL,NULL,NULL,NULL,NULL,1795274912004431,NULL,NULL);
INSERT INTO "jobs" VALUES('video_ed962cde66f4403fafae3beb27fdf997','local','downloading','openai:video:sora-2','openai:video:sora-2','Left at job.rendered','070ecef80b4713ddbe18f4c48f636d2cbec6833942e1301304f79ca7f74e87b8','070ecef80b4713ddbe18f4c48f636d2cbec6833942e1301304f79ca7f74e87b8',0,0,1795274912280926,1795447712280926,'{"request":{"prompt":"Left at job.rendered","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true}',400000,400000,100.0,0,NULL,NULL,NULL,NULL,NULL,1795274912292432,NULL,NULL);
INSERT INTO "jobs" VALUES('video_751aadf1fe1c49baba4ff677899b17e8','local','downloading','openai:video:sora-2','openai:video:sora-2','Left at download.complete','e9f83403e7c4e47722260162aa076a4ef82a38ed5c6b17ad74153ee287d1bc82','e9f83403e7c4e47722260162aa076a4ef82a38ed5c6b17ad74153ee287d1bc82',0,0,1795274912460858,1795447712460858,'{"request":{"prompt":"Left at download.complete","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true}',400000,400000,100.0,0,NULL,NULL,NULL,NULL,NULL,1795274912494839,NULL,NULL);
INSERT INTO "jobs" VALUES('video_55aaf0d5cfff48df8e38ac040005b80d','local','finishing','openai:video:sora-2','openai:video:sora-2','Left at download.published','0bb8a5772e314be6f9078a18da8d5b6106764d5e0934d790537259fd5b39541a','0bb8a5772e314be6f9078a18da8d5b6106764d5e0934d790537259fd5b39541a',0,0,1795274912635918,1795447712635918,'{"request":{"prompt":"Left at download.published","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true}',400000,400000,100.0,0,NULL,NULL,NULL,NULL,NULL,1795274912674031,NULL,NULL);
INSERT INTO "jobs" VALUES('video_6e5639cb6972401c8a6c0b42d447872b','local','finishing','openai:video:sora-2','openai:video:sora-2','Left at download.marked','22e7ed1366546cc3ad410d15a889ec3b8f5fca1efe8458ea8c5606bc0abf4eec','22e7ed1366546cc3ad410d15a889ec3b8f5fca1efe8458ea8c5606bc0abf4eec',0,0,1795274913388621,1795447713388621,'{"request":{"prompt":"Left at download.marked","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true}',400000,400000,100.0,0,NULL,NULL,NULL,NULL,NULL,1795274913398735,NULL,NULL);
INSERT INTO "jobs" VALUES('video_284ce902fe4240f3a181c9daf7e8d67c','local','finishing','openai:video:sora-2','openai:video:sora-2','Left at download.recorded','4125e3441fbe11c843d809ee9f7ff56e56f40617b836471dce2616148679d418','4125e3441fbe11c843d809ee9f7ff56e56f40617b836471dce2616148679d418',0,0,1795274913572972,1795447713572972,'{"request":{"prompt":"Left at download.recorded","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true}',400000,400000,100.0,0,NULL,NULL,NULL,NULL,NULL,1795274913595186,NULL,NULL);
INSERT INTO "jobs" VALUES('video_582caac423a049e98b34fa5bb5d79542','local','completed','openai:video:sora-2','openai:video:sora-2','Left at job.completed','02122ed279f87efd88afcd100b75e69fc940af1a9d3349a9930c95a7a200e962','02122ed279f87efd88afcd100b75e69fc940af1a9d3349a9930c95a7a200e962',0,0,1795274914063419,1795447714063419,'{"request":{"prompt":"Left at job.completed","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true}',400000,400000,100.0,0,NULL,NULL,NULL,NULL,NULL,1795274914086774,1795274914531678,NULL);
INSERT INTO "jobs" VALUES('video_ed97c287ed8949bb9d623c166027d9d2','local','needs_attention','openai:video:sora-2','openai:video:sora-2','Left in need of a person','72c0801c5923a0820aeac5b5e843d9c2d014fde6255554b4cc29ecd42ca3a2d8','72c0801c5923a0820aeac5b5e843d9c2d014fde6255554b4cc29ecd42ca3a2d8',0,0,1795274914587608,1795447714587608,'{"request":{"prompt":"Left in need of a person","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true}',400000,NULL,0.0,0,NULL,NULL,NULL,NULL,'Nobody knows whether openai accepted this job (OpenAI: This is a fault made on purpose. (step create, HTTP 500, request req_79c9e46179e2cd88)): the provider does not tell the prompts of its jobs; ours may be one of video_379b1b52aa87dbd4ab41d98c3f01bef7cfd0105f462972da, video_6f316373c6d033647ead4456f425c0b62f201ca29591ad95, or none. Decide with: rushes jobs resolve video_ed97c287ed8949bb9d623c166027d9d2 --adopt REMOTE_ID, or --repay to pay again.',1795274914601068,NULL,NULL);
INSERT INTO "jobs" VALUES('video_cd201226e6b943c39e04d7dd5d5c924d','local','queued','openai:video:sora-2','openai:video:sora-2','Left waiting','db5576a8c222d217b1d984cfb3e7cd114eb6e37e4a9c62110a742b08bbf19a94','db5576a8c222d217b1d984cfb3e7cd114eb6e37e4a9c62110a742b08bbf19a94',0,0,1795274920637522,1795447720637522,'{"request":{"prompt":"Left waiting","model":["openai","sora-2"],"size":[1280,720],"seconds":4,"seed":null,"audio":null,"negative_prompt":null,"first_frame":null,"last_frame":null,"references":[],"characters":[],"source":null,"extra":{}},"adjustments":[],"estimate_usd":"0.40","fit":{"first_frame":null,"last_frame":null,"size":null,"seconds":null}}',NULL,0,NULL,NULL,'{"thumbnail":true,"spritesheet":true}',400000,NULL,0.0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
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
INSERT INTO "videos" VALUES('video_ce5bc1f46abd40c3b6d60d1763a08a7c','video_ce5bc1f46abd40c3b6d60d1763a08a7c',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "videos" VALUES('video_6b27fd30e5c84b688e7bf9bc9af09d63','video_6b27fd30e5c84b688e7bf9bc9af09d63',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "videos" VALUES('video_383c2347a1c44c69b5cad51d4e414375','video_383c2347a1c44c69b5cad51d4e414375',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "videos" VALUES('video_798284af17b54cef8f4a16641cd5063c','video_798284af17b54cef8f4a16641cd5063c',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "videos" VALUES('video_d74de01af86d42f7b17a8547b1ea53ca','video_d74de01af86d42f7b17a8547b1ea53ca',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "videos" VALUES('video_c41ac4146dd24995969e972375b00895','video_c41ac4146dd24995969e972375b00895',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "videos" VALUES('video_ed962cde66f4403fafae3beb27fdf997','video_ed962cde66f4403fafae3beb27fdf997',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "videos" VALUES('video_751aadf1fe1c49baba4ff677899b17e8','video_751aadf1fe1c49baba4ff677899b17e8',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "videos" VALUES('video_55aaf0d5cfff48df8e38ac040005b80d','video_55aaf0d5cfff48df8e38ac040005b80d',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "videos" VALUES('video_6e5639cb6972401c8a6c0b42d447872b','video_6e5639cb6972401c8a6c0b42d447872b',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "videos" VALUES('video_284ce902fe4240f3a181c9daf7e8d67c','video_284ce902fe4240f3a181c9daf7e8d67c',0,'video_284ce902fe4240f3a181c9daf7e8d67c','mp4',1280,720,4.0,'10',1,'50a3c2e1737a0d110efe32b3af242ff8bfbd4f0219d862ce6ff28149710ea90a',84725,1795274913757015,NULL);
INSERT INTO "videos" VALUES('video_582caac423a049e98b34fa5bb5d79542','video_582caac423a049e98b34fa5bb5d79542',0,'video_582caac423a049e98b34fa5bb5d79542','mp4',1280,720,4.0,'10',1,'50a3c2e1737a0d110efe32b3af242ff8bfbd4f0219d862ce6ff28149710ea90a',84725,1795274914313384,NULL);
INSERT INTO "videos" VALUES('video_ed97c287ed8949bb9d623c166027d9d2','video_ed97c287ed8949bb9d623c166027d9d2',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "videos" VALUES('video_cd201226e6b943c39e04d7dd5d5c924d','video_cd201226e6b943c39e04d7dd5d5c924d',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE INDEX ix_jobs_source ON jobs (source_video);
CREATE INDEX ix_jobs_newest ON jobs (owner, created_at);
CREATE INDEX ix_jobs_finished ON jobs (owner, fingerprint, completed_at);
CREATE UNIQUE INDEX uq_jobs_in_flight ON jobs (owner, flight) WHERE state IN ('downloading', 'finishing', 'in_progress', 'needs_attention', 'queued', 'submitting');
CREATE INDEX ix_jobs_state ON jobs (state);
CREATE INDEX ix_characters_owner ON characters (owner, created_at);
CREATE INDEX ix_events_job_id ON events (job_id, id);
CREATE INDEX ix_attempts_account_state ON attempts (account, state);
CREATE INDEX ix_tags_tag ON tags (tag);
COMMIT;
