"""How long things typically take on AWS, in seconds: the one table, which the sandbox's speed divides.

Sources are the sections of the field guide; where it gives a range, a value inside it.
"""

# Network (section 2).
NAT_GATEWAY_CREATE = 100.0
NAT_GATEWAY_FAIL = 20.0
NAT_GATEWAY_DELETE = 60.0
#: How long a deleted NAT gateway stays listed.
NAT_GATEWAY_TOMBSTONE = 3600.0
SUBNET_CREATE = 2.0
VPC_CREATE = 2.0
VPC_ENDPOINT_CREATE = 5.0
VPC_ENDPOINT_DELETE = 20.0
INTERNET_GATEWAY_ATTACH = 2.0
#: How long EC2 remembers a client token (section 1 rule 2).
EC2_CLIENT_TOKEN = 86400.0

# Load balancer, certificates, WAF (section 5).
LOAD_BALANCER_CREATE = 150.0
#: After DeleteLoadBalancer: its interfaces, and so the security groups and subnets, are held this long.
LOAD_BALANCER_INTERFACES_LINGER = 60.0
#: After DeleteLoadBalancer: a new one cannot take the name for this long.
LOAD_BALANCER_NAME_LINGERS = 30.0
#: Between RegisterTargets and the first health check.
TARGET_REGISTER = 5.0
TARGET_DRAINING_DEFAULT = 300.0
#: ACM goes on counting a certificate as in use after its listener is gone.
CERTIFICATE_USE_LINGERS = 60.0
CERTIFICATE_ISSUE = 60.0
CERTIFICATE_VALIDATION_SHOWS = 5.0
#: ACM looks for validation records for 72 hours, and knows the token of a request for one.
CERTIFICATE_VALIDATION_TIMES_OUT = 72 * 3600.0
CERTIFICATE_TOKEN_FORGOTTEN = 3600.0
#: WAF goes on counting a web ACL or IP set as in use after what used it is gone.
WAF_USE_LINGERS = 15.0

# Aurora (section 6).
DB_CLUSTER_CREATE = 90.0
DB_CLUSTER_MODIFY = 30.0
DB_CLUSTER_DELETE = 60.0
DB_INSTANCE_CREATE = 420.0
#: How long, at the end of its creation, an instance is in each of the states ``configuring-…``.
DB_INSTANCE_CONFIGURE = 30.0
DB_INSTANCE_MODIFY = 120.0
DB_INSTANCE_REBOOT = 60.0
DB_INSTANCE_DELETE = 180.0
#: After an instance is gone its interface holds security group and subnet this much longer.
DB_INTERFACE_LINGERS = 60.0
DB_SNAPSHOT_CREATE = 60.0

# Secrets (section 6): a forced deletion is asynchronous.
SECRET_DELETE = 10.0

# ECS (section 4).
CLUSTER_CREATE = 3.0
CAPACITY_PROVIDERS_UPDATE = 5.0
#: After the call that needs it first (section 12).
SERVICE_LINKED_ROLE_CREATE = 5.0
#: Between DELETE and INACTIVE, and how long the tombstones of clusters, services and tasks can be described.
CLUSTER_DELETE = 5.0
ECS_TOMBSTONE = 3600.0
TASK_PROVISION = 15.0
TASK_PULL = 20.0
#: A task without a way out of its subnet tries this long to reach ECR and Secrets Manager.
TASK_GIVES_UP_CONNECTING = 120.0
TASK_ACTIVATE = 5.0
#: A container that fails does so this long after it has started.
CONTAINER_CRASH = 5.0
#: An application that starts slowly answers its health checks this much later than others.
SLOW_START = 240.0
#: A task without health check and load balancer counts as healthy when it has run so long (SDK).
TASK_COUNTS_AS_HEALTHY = 40.0
TASK_STOP = 10.0
TASK_DEPROVISION = 15.0
#: The longer tasks keep failing, the longer ECS pauses before it starts the next, up to the longest.
RESTART_PAUSE_FIRST = 10.0
RESTART_PAUSE_LONGEST = 300.0
#: What a deployment spends in a stage that has nothing to wait for.
DEPLOYMENT_STAGE = 5.0
#: A stage that does not get further, and a deployment as a whole, are rolled back after so long.
DEPLOYMENT_STAGE_LONGEST = 24 * 3600.0
DEPLOYMENT_LONGEST = 30 * 24 * 3600.0
#: How long a hook waits for an answer unless it says otherwise, in minutes.
HOOK_TIMEOUT_MINUTES = 1440

#: After DeleteLogGroup: the name cannot be used again for this long (section 3).
LOG_GROUP_DELETE = 2.0
#: Container Insights and RDS write once more after the last task or cluster is gone, and so bring back their log
#: groups (section 3).
LOG_GROUP_COMES_BACK = 20.0
