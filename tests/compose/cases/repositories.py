"""Compose files as repositories have them."""

from tests.compose.cases import Case

_WEB = """\
version: "3.8"

x-logging: &logging
  driver: json-file
  options: {max-size: "10m", max-file: "3"}

services:
  web:
    build:
      context: ./web
      args:
        - NODE_ENV=${NODE_ENV:-production}
        - GIT_SHA
    image: ${REGISTRY:-harbor.example/team}/web:${TAG:-dev}
    ports: ["${WEB_PORT:-8080}:80"]
    depends_on:
      api: {condition: service_healthy}
    logging: *logging
  api:
    build: {context: ., dockerfile: api/Dockerfile, target: runtime}
    environment: {DATABASE_URL: "postgres://app:${DB_PASSWORD:?set it}@db/app", DEBUG: "${DEBUG-}"}
    env_file: [api.env]
    healthcheck: {test: ["CMD", "curl", "-f", "http://localhost/health"], interval: 10s, retries: 5}
    logging: *logging
  db:
    image: postgres:${POSTGRES_VERSION:-15-alpine}
    volumes: ["db:/var/lib/postgresql/data"]
    restart: unless-stopped
  adminer:
    image: adminer
    profiles: [debug]
volumes:
  db:
"""
_WEB_DEVELOPMENT = """\
services:
  web:
    build: {target: development, args: {NODE_ENV: development}}
    volumes: ["./web:/app"]
    command: npm run dev
  api:
    build: {args: {RELOAD: 1}}
    ports: !override ["9000:80"]
  mail: {image: axllent/mailpit}
"""
_WEB_FILES = {
    "compose.yaml": _WEB,
    "api.env": "DB_PASSWORD=not-for-the-file\n",
    ".env": "# the site's\nDB_PASSWORD='p$ss'\nTAG=v1 # the release\nPOSTGRES_VERSION=16\n",
}

_CLUSTER = """\
name: ${CLUSTER:-cluster}
services:
  base:
    build: {context: images/base, args: &versions {SLURM_VERSION: "24.05", MUNGE_UID: 0755}}
    image: cluster-base:${IMAGE_TAG:-v1}
    profiles: [build]
  master-1: &master
    build: {context: images/master, args: *versions}
    image: cluster-master:${IMAGE_TAG:-v1}
    hostname: master-1
    platform: linux/amd64
  master-2:
    <<: *master
    hostname: master-2
    profiles: [ha]
    depends_on: [master-1]
  node:
    build:
      context: images/node
      args: {<<: *versions, PARTITION: debug}
      additional_contexts: {tools: ./tools, base: docker-image://cluster-base:v1}
      platforms: [linux/amd64, linux/arm64]
    deploy: {replicas: 4}
  hub:
    build: {context: ., dockerfile: images/hub/Dockerfile}
    healthcheck: {test: curl -f localhost, start_period: 1m}
  database:
    image: mariadb:11
    command: ["--innodb-buffer-pool-size=1G"]
    secrets: [root]
  exporter: {image: quay.io/prometheuscommunity/slurm-exporter, profiles: [monitoring, full]}
secrets: {root: {file: ./root.txt}}
"""

_SITE = """\
services:
  master-2: {profiles: !reset []}
  hub: {build: !reset null, image: "harbor.example/hub:1"}
  database: {image: "mysql:8"}
  node: {build: {platforms: !override [linux/amd64]}}
"""

_MONITORING = """\
x-common: &common
  restart: always
  networks: [monitoring]
  labels:
    org.label-schema.group: monitoring
services:
  prometheus:
    <<: *common
    image: prom/prometheus:v2.53.0
    volumes: [./prometheus:/etc/prometheus, prometheus:/prometheus]
    command: ['--config.file=/etc/prometheus/prometheus.yml', '--storage.tsdb.retention.time=${RETENTION:-200h}']
    expose: [9090]
  grafana:
    <<: *common
    image: grafana/grafana:${GRAFANA:-11.1.0}
    environment:
      - GF_SECURITY_ADMIN_USER=${ADMIN_USER:-admin}
      - GF_SECURITY_ADMIN_PASSWORD
    ports:
      - {target: 3000, published: "3000", protocol: tcp, mode: host}
  exporter:
    <<: [*common]
    image: prom/node-exporter@sha256:0000000000000000000000000000000000000000000000000000000000000000
    pid: host
  caddy: {<<: *common, build: {dockerfile_inline: "FROM caddy:2\\nCOPY <<EOF /etc/caddy/Caddyfile\\n:80\\nEOF\\n"}}
networks: {monitoring: {driver: bridge}}
volumes: {prometheus: {}}
"""

_ORDERS = """\
services:
  orders:
    extends: {file: ../common.yaml, service: python}
    build: {context: .}
    image: shop/orders:${TAG:-1}
"""
_SHOP = """\
name: shop
include:
  - orders/compose.yaml
  - path: [cart/compose.yaml, cart/site.yaml]
    env_file: cart/site.env
services:
  gateway: {image: "traefik:v3", depends_on: [orders, cart]}
"""
_COMMON = """\
services:
  python:
    build: {context: lib, args: {PYTHON: "3.12", INDEX: "${INDEX:-}"}, target: run}
    restart: always
"""
_CART_AT_A_SITE = """\
services:
  cart: {build: {args: [PYTHON=3.13]}}
  cart-db: {image: "valkey/valkey:8", profiles: [db]}
"""
_SHOP_FILES = {
    "compose.yaml": _SHOP,
    "common.yaml": _COMMON,
    "orders/compose.yaml": _ORDERS,
    "orders/.env": "TAG=orders-7\n",
    "cart/compose.yaml": _ORDERS.replace("orders", "cart") + '  cart-db: {image: "redis:7"}\n',
    "cart/site.yaml": _CART_AT_A_SITE,
    "cart/site.env": "TAG=cart-2\nINDEX=https://mirror.example/simple\n",
}

_GPU = """\
services:
  app: {build: {context: ., target: cpu}, image: app:cpu}
  app-gpu:
    extends: app
    image: app:gpu
    build: {target: gpu, args: {CUDA: "12.4"}}
    profiles: ["gpu"]
    deploy: {resources: {reservations: {devices: [{driver: nvidia, count: all, capabilities: [gpu]}]}}}
  train: {image: 'nvcr.io/nvidia/pytorch:24.05-py3', profiles: [gpu, train], gpus: all}
"""

_MOCK = """\
services:
  portal:
    build:
      context: ../..
      dockerfile: deploy/images/portal/Dockerfile
      network: host
      cache_from: [harbor.example/portal:cache]
      labels: {a: b}
      secrets: [token]
      ssh: [default]
      shm_size: 1gb
      extra_hosts: ["mirror.example:10.0.0.1"]
      tags: ["portal:extra"]
      pull: true
    image: "${PRIVATE_REGISTRY}portal:${IMAGE_TAG}"
  worker: {build: ../../worker, image: "${PRIVATE_REGISTRY}worker:${IMAGE_TAG}", scale: 2}
  kafka:
    image: ${KAFKA_IMAGE:-confluentinc/cp-kafka}:${KAFKA_VERSION:-7.5.0}
    environment: {LISTENERS: 'A://:9092,B://$${HOSTNAME}:9093'}
secrets: {token: {environment: TOKEN}}
"""
_MOCK_FILES = {
    "deploy/site/docker-compose.yml": _MOCK,
    "deploy/site/.env": "IMAGE_TAG=v1\nPRIVATE_REGISTRY=harbor.example/hpc/\n",
    ".env": 'COMPOSE_FILE=deploy/site/docker-compose.yml\nIMAGE_TAG=v2\nKAFKA_VERSION="7.6.0"\n',
}

REPOSITORIES = {
    "a web application": Case(files=_WEB_FILES, environment={"GIT_SHA": "abc"}),
    "its development": Case(files=_WEB_FILES | {"compose.override.yaml": _WEB_DEVELOPMENT}),
    "its development with a profile": Case(
        files=_WEB_FILES | {"docker-compose.override.yml": _WEB_DEVELOPMENT},
        environment={"COMPOSE_PROFILES": "debug", "TAG": "v2", "NODE_ENV": "staging"},
    ),
    "its production, without an override": Case(
        files=_WEB_FILES
        | {"compose.override.yaml": _WEB_DEVELOPMENT, "site.yaml": "services: {web: {build: !reset null}}\n"},
        environment={"COMPOSE_FILE": "compose.yaml:site.yaml"},
    ),
    "a cluster": Case(files={"docker-compose.yml": _CLUSTER}, environment={"IMAGE_TAG": "v0.3.6-dev"}),
    "a cluster with two masters": Case(
        files={"docker-compose.yml": _CLUSTER, ".env": "COMPOSE_PROFILES=ha,monitoring\nCLUSTER=site-1\n"}
    ),
    "all of a cluster": Case(files={"docker-compose.yml": _CLUSTER}, environment={"COMPOSE_PROFILES": "*"}),
    "a cluster at a site": Case(
        files={
            "docker-compose.yml": _CLUSTER,
            "docker-compose.override.yml": _SITE,
        }
    ),
    "monitoring": Case(files={"docker-compose.yaml": _MONITORING}, environment={"GRAFANA": "11.2.0"}),
    "a shop of included services": Case(files=_SHOP_FILES),
    "a shop with its databases": Case(files=_SHOP_FILES, environment={"COMPOSE_PROFILES": "db", "TAG": "9"}),
    "without graphics cards": Case(files={"compose.yml": _GPU}),
    "with graphics cards": Case(files={"compose.yml": _GPU, ".env": "COMPOSE_PROFILES=gpu\n"}),
    "files below the top": Case(files=_MOCK_FILES),
    "files below the top and a release": Case(files=_MOCK_FILES, environment={"IMAGE_TAG": "v3"}),
    "lines that end as on Windows": Case(files={name: text.replace("\n", "\r\n") for name, text in _WEB_FILES.items()}),
}
