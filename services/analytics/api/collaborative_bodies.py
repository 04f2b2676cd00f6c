"""The answers about products and customers that go together. docs/reports.md defines every number."""

from __future__ import annotations

from pydantic import BaseModel, Field

from services.analytics.api.report_reader import ReportBody, ReportPage


class CollaborativeProduct(BaseModel):
    """A product and its companions."""

    product_id: str
    product_name: str
    category: str | None
    price: float = Field(description="of the catalogue, else the mean price paid")
    recommendation_count: int = Field(description="products that share at least two orders with it")
    avg_similarity_score: float = Field(description="mean cosine similarity with these, 0 to 1")
    total_revenue: float
    order_count: int = Field(description="orders with the product")


class CollaborativeProducts(ReportPage):
    """Products, the one with the most companions first."""

    products: list[CollaborativeProduct]


class CollaborativePair(BaseModel):
    """Two products and the orders that have both. Product a is the one in fewer orders."""

    product_a_id: str
    product_a_name: str
    product_b_id: str
    product_b_name: str
    co_recommendation_count: int = Field(description="orders that have both")
    combined_revenue: float = Field(description="revenue of the two products in these orders")
    support: float = Field(description="share of all orders that have both")
    confidence: float = Field(description="share of the orders of product a that have product b")
    reverse_confidence: float = Field(description="share of the orders of product b that have product a")
    lift: float = Field(description="confidence over the share of all orders that have product b")
    similarity_score: float = Field(description="cosine similarity of the two products, 0 to 1")
    confidence_score: float = Field(description="as confidence")


class PairsSummary(BaseModel):
    """Figures of the pairs."""

    orders: int = Field(0, description="orders of the selection")
    total_pairs: int = Field(0, description="pairs of products that share at least two orders")
    total_revenue: float = Field(0, description="sum of the combined revenue of the stored pairs")
    avg_confidence: float = Field(0, description="mean confidence of the stored pairs")
    avg_pair_value: float = Field(0, description="mean combined revenue of the stored pairs")


class CollaborativePairs(ReportPage):
    """Pairs of products, the one with the most common orders first."""

    pairs: list[CollaborativePair]
    summary: PairsSummary


class SharedProduct(BaseModel):
    """A product of a customer, and the similar customers who bought it."""

    product_name: str
    shared_count: int


class SimilarCustomer(BaseModel):
    """A customer, and those who bought the same products."""

    customer_id: str
    customer_name: str
    similar_customers_count: int = Field(description="customers who share at least two products")
    avg_similarity_score: float = Field(description="mean cosine similarity of the 50 most similar ones")
    actual_recommendations: int = Field(
        description="products that at least two of these 50 customers bought, and the customer did not"
    )
    recommendations_generated: int = Field(description="as actual_recommendations")
    top_shared_products: list[SharedProduct]


class CustomerSimilarity(ReportPage):
    """Customers, the one with the most similar customers first."""

    customers: list[SimilarCustomer]


class CollaborativeMetrics(ReportBody):
    """Figures of co-purchases."""

    total_recommendations: int = Field(0, description="sum of all products' companions")
    avg_similarity_score: float = Field(0, description="mean cosine similarity of all pairs of products")
    active_customer_pairs: int = Field(
        0, description="pairs of customers who share two products, among the most active ones"
    )
    compared_customers: int = Field(0, description="customers among whom these pairs were counted")
    algorithm_accuracy: float = Field(
        0, description="share of customers whose last order had one of ten products that co-purchases predict"
    )
    evaluated_customers: int = Field(0, description="customers whose last order was predicted")
    total_users: int = Field(0, description="customers with an order")
    total_products: int = Field(0, description="products that were bought")
    coverage: float = Field(0, description="share of these products that have a companion")


class GraphNode(BaseModel):
    """A product of the graph."""

    id: str
    name: str
    category: str | None
    order_count: int


class GraphEdge(BaseModel):
    """Two products that are bought together more often than by chance."""

    source: str
    target: str
    weight: int = Field(description="orders that have both")
    lift: float


class CoPurchaseGraph(ReportBody):
    """The strongest edges between products, and their products."""

    total_edges: int = Field(description="edges of the whole graph: pairs with a lift above 1")
    nodes: list[GraphNode]
    edges: list[GraphEdge]
