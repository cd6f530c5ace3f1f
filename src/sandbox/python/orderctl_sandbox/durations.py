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

# Load balancer, certificates, WAF (section 5).
LOAD_BALANCER_CREATE = 150.0
#: After DeleteLoadBalancer: its interfaces, and so the security groups and subnets, are held this long.
LOAD_BALANCER_INTERFACES_LINGER = 60.0
#: After DeleteLoadBalancer: a new one cannot take the name for this long.
LOAD_BALANCER_NAME_LINGERS = 30.0
TARGET_DRAINING_DEFAULT = 300.0
#: ACM goes on counting a certificate as in use after its listener is gone.
CERTIFICATE_USE_LINGERS = 60.0
CERTIFICATE_ISSUE = 60.0
CERTIFICATE_VALIDATION_SHOWS = 5.0

# Aurora (section 6).
DB_CLUSTER_CREATE = 90.0
DB_CLUSTER_MODIFY = 30.0
DB_CLUSTER_DELETE = 60.0
DB_INSTANCE_CREATE = 420.0
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
#: Between DELETE and INACTIVE, and how long the tombstones of clusters, services and tasks can be described.
CLUSTER_DELETE = 5.0
ECS_TOMBSTONE = 3600.0
TASK_PROVISION = 15.0
TASK_PULL = 20.0
TASK_ACTIVATE = 5.0
#: A container that fails does so this long after it has started.
CONTAINER_CRASH = 5.0
#: An application that starts slowly answers its health checks this much later than others.
SLOW_START = 240.0
TASK_STOP = 10.0
TASK_DEPROVISION = 15.0
#: The longer tasks keep failing, the longer ECS pauses before it starts the next, up to the longest.
RESTART_PAUSE_FIRST = 10.0
RESTART_PAUSE_LONGEST = 300.0
#: What a deployment spends in a stage that has nothing to wait for.
DEPLOYMENT_STAGE = 5.0

#: Container Insights and RDS write once more after the last task or cluster is gone, and so bring back their log
#: groups (section 3).
LOG_GROUP_COMES_BACK = 20.0
